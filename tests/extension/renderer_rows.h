// A row of render/renderers.cc.
{.name = "tap", .meaning = "the Test Anything Protocol", .render = tap_result},
