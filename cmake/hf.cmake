# crossval_hf: the Rust static library (tokenizers, minijinja) behind a C interface.
add_library(crossval_hf INTERFACE)
