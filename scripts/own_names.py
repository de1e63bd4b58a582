"""Which source files can be read as one: no two that define a name of their own in common. Used by
scripts/lint (clang-tidy) and scripts/unity_groups (compiling); it reads this project's formatting, no
C++ in general."""
import re

OWN_NAMES = re.compile(
    r'^(?:(?:struct|class|enum(?: class)?) (\w+)|using (\w+) ='
    r'|(?!return|namespace|template)\w[\w:<>,*& ]*[ *&](\w+)(?:\(|\[| =|\{|;))', re.M)
HIDDEN = re.compile(r'^namespace \{$(.*?)^\}  // namespace$', re.M | re.S)
CONSTANTS = re.compile(r'^constexpr [^;{(]*;', re.M)  # "constexpr int kA = 1, kB = 2;"
FIXTURES = re.compile(r'^TEST(?:_[FP])?\((\w+),', re.M)


def names_in(text):
    constants = ''.join(CONSTANTS.findall(text))
    return {a or b or c for a, b, c in OWN_NAMES.findall(text)} | set(re.findall(r'(\w+) =', constants))


def own_names(source):
    """What a source file defines for itself: in its unnamed namespaces, and its test suites."""
    return names_in('\n'.join(HIDDEN.findall(source))) | set(FIXTURES.findall(source))


def batches(sources, at_once, key=lambda source: None):
    """Up to at_once sources of one key, no two with a name in common: each has .names."""
    made = []
    for source in sources:
        for batch in made:
            if (len(batch) < at_once and key(batch[0]) == key(source)
                    and not any(source.names & other.names for other in batch)):
                batch.append(source)
                break
        else:
            made.append([source])
    return sorted(made, key=len, reverse=True)
