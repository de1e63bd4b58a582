// A row of compare/metrics.cc.
{"shared_mass", "shared", 8, "", "share of the probability mass on which both agree", shared_mass},
