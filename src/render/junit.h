// JUnit XML as Jenkins, GitLab and GitHub's actions read it (jenkinsci/xunit-plugin, junit-10.xsd):
// a testsuite for each two engines, a testcase for each position, tensor or setting. What XML 1.0
// cannot hold becomes U+FFFD.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string junit_begin();
std::string junit_result(const Result& result, const RenderOptions& options);
std::string junit_end();

}  // namespace crossval
