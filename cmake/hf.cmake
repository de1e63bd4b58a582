# crossval_hf: the Rust static library (tokenizers, minijinja) behind a C interface, rust/hf.
# Cargo.lock pins every crate; after the first fetch cargo needs no network.
find_program(CARGO cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)
set(crossval_hf_dir ${PROJECT_SOURCE_DIR}/rust/hf)
# One for all presets: no sanitizer looks into it, and it is the longest step of a first build.
set(crossval_hf_target ${PROJECT_SOURCE_DIR}/build/rust)
set(crossval_hf_library ${crossval_hf_target}/release/libcrossval_hf.a)
file(GLOB crossval_hf_sources CONFIGURE_DEPENDS ${crossval_hf_dir}/src/*.rs)

add_custom_command(OUTPUT ${crossval_hf_library}
  COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${crossval_hf_target}
          ${CARGO} build --release --locked --manifest-path ${crossval_hf_dir}/Cargo.toml
  DEPENDS ${crossval_hf_sources} ${crossval_hf_dir}/Cargo.toml ${crossval_hf_dir}/Cargo.lock
  COMMENT "cargo: crossval_hf (tokenizers, minijinja), the longest step of a first build"
  USES_TERMINAL  # so that cargo tells how far it is
  VERBATIM)
add_custom_target(crossval_hf_cargo DEPENDS ${crossval_hf_library})

add_library(crossval_hf STATIC IMPORTED GLOBAL)
add_dependencies(crossval_hf crossval_hf_cargo)
set_target_properties(crossval_hf PROPERTIES
  IMPORTED_LOCATION ${crossval_hf_library}
  INTERFACE_INCLUDE_DIRECTORIES ${crossval_hf_dir}/include
  INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")

# SentencePiece: the merge loop of `llama` vocabularies, and .model files.
find_path(SENTENCEPIECE_INCLUDE sentencepiece_processor.h REQUIRED)
find_library(SENTENCEPIECE_LIBRARY sentencepiece REQUIRED)
add_library(crossval_sentencepiece INTERFACE)
target_include_directories(crossval_sentencepiece SYSTEM INTERFACE ${SENTENCEPIECE_INCLUDE})
target_link_libraries(crossval_sentencepiece INTERFACE ${SENTENCEPIECE_LIBRARY})
