// stdin, stdout and stderr as a program may find them: closed, full, or with nobody listening.
#pragma once

namespace crossval {

// Descriptors 0 to 2 that are closed become /dev/null, so that no file we open later gets their
// number and what is printed does not land in it.
void open_standard_streams();

// To be called last: `exit_code`, or 3 with a word on stderr where something printed to stdout did
// not get there.
int close_stdout(int exit_code);

}  // namespace crossval
