// A row of backends/backends.cc.
{.name = "fork",
 .display_name = "fork.cpp",
 .argument = "",
 .how_to_get = "build fork.cpp with -DBUILD_SHARED_LIBS=ON",
 .start = LlamaLibrary{
     .env_var = "FORK_CPP_DIR", .library_dirs = {".", "lib"}, .include_dirs = {"include", "."}}},
