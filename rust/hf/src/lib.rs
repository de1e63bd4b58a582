//! The C boundary (include/hf.h): raw pointers become slices here, errors and panics become text.
//! Nothing else in this crate is unsafe.

mod bpe;
mod pieces;
mod split;
mod template;

use std::ffi::{c_char, c_int};
use std::panic::{catch_unwind, AssertUnwindSafe};
use tokenizers::models::unigram::Unigram;
use tokenizers::{Model, Tokenizer};

/// A failure as the caller will read it.
pub(crate) type Result<T> = std::result::Result<T, String>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct HfStr {
    data: *const c_char,
    size: usize,
}

#[repr(C)]
pub struct HfBpeConfig {
    tokens: *const HfStr,
    n_tokens: usize,
    merges: *const HfStr,
    n_merges: usize,
    patterns: *const HfStr,
    n_patterns: usize,
    ignore_merges: c_int,
    byte_level: c_int,
}

#[repr(C)]
pub struct HfUnigramConfig {
    tokens: *const HfStr,
    scores: *const f32,
    n_tokens: usize,
    unknown: i64,
}

#[repr(C)]
pub struct HfBertConfig {
    tokens: *const HfStr,
    n_tokens: usize,
    unknown: i64,
    lowercase: c_int,
    strip_accents: c_int,
}

pub enum HfTokenizer {
    Bpe(bpe::BpeTokenizer),
    Unigram(Box<Unigram>),
    Bert(Box<pieces::BertTokenizer>),
    Json(Box<Tokenizer>, split::Checks),
}

/// A slice of `size` values; null or empty gives an empty slice.
unsafe fn slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if data.is_null() || size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

unsafe fn bytes<'a>(data: *const c_char, size: usize) -> &'a [u8] {
    slice(data as *const u8, size)
}

unsafe fn text<'a>(data: *const c_char, size: usize) -> Result<&'a str> {
    std::str::from_utf8(bytes(data, size)).map_err(|e| format!("not valid UTF-8: {e}"))
}

unsafe fn byte_slices<'a>(data: *const HfStr, size: usize) -> Vec<&'a [u8]> {
    slice(data, size)
        .iter()
        .map(|s| bytes(s.data, s.size))
        .collect()
}

/// Text handed to C: the bytes and a NUL. The allocation's size is stored in front of it, because
/// the text may hold NULs of its own and hf_string_free needs the true size.
fn to_c(text: Vec<u8>) -> *mut c_char {
    let mut block = Vec::with_capacity(text.len() + 9);
    block.extend_from_slice(&(text.len() as u64 + 9).to_le_bytes());
    block.extend_from_slice(&text);
    block.push(0);
    let pointer = Box::into_raw(block.into_boxed_slice()) as *mut u8;
    unsafe { pointer.add(8) as *mut c_char }
}

/// Runs `body`; an error or a panic goes to *error and `failed` is returned.
fn guarded<T>(error: *mut *mut c_char, failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let message = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(message)) => message,
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
            .unwrap_or_else(|| "unknown panic".to_string()),
    };
    if !error.is_null() {
        unsafe { *error = to_c(message.into_bytes()) };
    }
    failed
}

#[no_mangle]
pub unsafe extern "C" fn hf_bpe_new(
    config: *const HfBpeConfig,
    n_skipped_merges: *mut usize,
    error: *mut *mut c_char,
) -> *mut HfTokenizer {
    guarded(error, std::ptr::null_mut(), || {
        let config = &*config;
        let patterns = byte_slices(config.patterns, config.n_patterns);
        let (tokenizer, skipped) = bpe::build(
            &byte_slices(config.tokens, config.n_tokens),
            &byte_slices(config.merges, config.n_merges),
            &patterns,
            config.ignore_merges != 0,
            config.byte_level != 0,
        )?;
        if !n_skipped_merges.is_null() {
            *n_skipped_merges = skipped;
        }
        Ok(Box::into_raw(Box::new(HfTokenizer::Bpe(tokenizer))))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_unigram_new(
    config: *const HfUnigramConfig,
    error: *mut *mut c_char,
) -> *mut HfTokenizer {
    guarded(error, std::ptr::null_mut(), || {
        let config = &*config;
        let model = pieces::unigram(
            &byte_slices(config.tokens, config.n_tokens),
            slice(config.scores, config.n_tokens),
            usize::try_from(config.unknown).ok(),
        )?;
        Ok(Box::into_raw(Box::new(HfTokenizer::Unigram(Box::new(
            model,
        )))))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_bert_new(
    config: *const HfBertConfig,
    error: *mut *mut c_char,
) -> *mut HfTokenizer {
    guarded(error, std::ptr::null_mut(), || {
        let config = &*config;
        let tokenizer = pieces::BertTokenizer::new(
            &byte_slices(config.tokens, config.n_tokens),
            usize::try_from(config.unknown).ok(),
            config.lowercase != 0,
            config.strip_accents != 0,
        )?;
        Ok(Box::into_raw(Box::new(HfTokenizer::Bert(Box::new(
            tokenizer,
        )))))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_tokenizer_from_json(
    json: *const c_char,
    size: usize,
    parse_special: c_int,
    error: *mut *mut c_char,
) -> *mut HfTokenizer {
    guarded(error, std::ptr::null_mut(), || {
        let mut tokenizer = Tokenizer::from_bytes(bytes(json, size)).map_err(|e| e.to_string())?;
        // A prompt is compared as it is: never cut, never padded.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
        tokenizer.set_encode_special_tokens(parse_special == 0);
        let checks = split::Checks::new(&tokenizer)?;
        Ok(Box::into_raw(Box::new(HfTokenizer::Json(
            Box::new(tokenizer),
            checks,
        ))))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_tokenizer_free(tokenizer: *mut HfTokenizer) {
    if !tokenizer.is_null() {
        guarded(std::ptr::null_mut(), (), || {
            drop(Box::from_raw(tokenizer));
            Ok(())
        })
    }
}

#[no_mangle]
pub unsafe extern "C" fn hf_encode(
    tokenizer: *const HfTokenizer,
    data: *const c_char,
    size: usize,
    add_special: c_int,
    ids: *mut *mut u32,
    n_ids: *mut usize,
    error: *mut *mut c_char,
) -> c_int {
    guarded(error, -1, || {
        let text = text(data, size)?;
        let encoded = match &*tokenizer {
            HfTokenizer::Bpe(bpe) => bpe.encode(text),
            HfTokenizer::Unigram(model) => model
                .tokenize(text)
                .map(|tokens| tokens.iter().map(|token| token.id).collect()),
            HfTokenizer::Bert(bert) => bert.encode(text),
            HfTokenizer::Json(json, checks) => checks
                .check(json, text)
                .and_then(|()| json.encode_fast(text, add_special != 0))
                .map(|encoding| encoding.get_ids().to_vec()),
        };
        let owned = encoded.map_err(|e| e.to_string())?.into_boxed_slice();
        *n_ids = owned.len();
        *ids = Box::into_raw(owned) as *mut u32;
        Ok(0)
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_ids_free(ids: *mut u32, n_ids: usize) {
    if !ids.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
            ids, n_ids,
        )));
    }
}

#[no_mangle]
pub unsafe extern "C" fn hf_vocab_size(tokenizer: *const HfTokenizer) -> usize {
    guarded(std::ptr::null_mut(), 0, || {
        let vocab = match &*tokenizer {
            HfTokenizer::Bpe(bpe) => bpe.model.get_vocab(),
            HfTokenizer::Unigram(model) => model.get_vocab(),
            HfTokenizer::Bert(bert) => bert.model.get_vocab(),
            HfTokenizer::Json(json, _) => json.get_vocab(true),
        };
        Ok(vocab.values().max().map_or(0, |id| *id as usize + 1))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_id_to_token(
    tokenizer: *const HfTokenizer,
    id: u32,
    size: *mut usize,
) -> *mut c_char {
    guarded(std::ptr::null_mut(), std::ptr::null_mut(), || {
        let token = match &*tokenizer {
            HfTokenizer::Bpe(bpe) => bpe.model.id_to_token(id),
            HfTokenizer::Unigram(model) => model.id_to_token(id),
            HfTokenizer::Bert(bert) => bert.model.id_to_token(id),
            HfTokenizer::Json(json, _) => json.id_to_token(id),
        };
        Ok(match token {
            None => std::ptr::null_mut(),
            Some(token) => {
                *size = token.len();
                to_c(token.into_bytes())
            }
        })
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_is_special(tokenizer: *const HfTokenizer, id: u32) -> c_int {
    guarded(std::ptr::null_mut(), 0, || {
        let HfTokenizer::Json(json, _) = &*tokenizer else {
            return Ok(0);
        };
        let added = json.get_added_vocabulary();
        let token = added.get_added_tokens_decoder().get(&id);
        Ok(token.is_some_and(|t| t.special) as c_int)
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_render_template(
    source: *const c_char,
    source_size: usize,
    context: *const c_char,
    context_size: usize,
    size: *mut usize,
    error: *mut *mut c_char,
) -> *mut c_char {
    guarded(error, std::ptr::null_mut(), || {
        let rendered = template::render(text(source, source_size)?, text(context, context_size)?)?;
        *size = rendered.len();
        Ok(to_c(rendered.into_bytes()))
    })
}

#[no_mangle]
pub unsafe extern "C" fn hf_string_free(text: *mut c_char) {
    if !text.is_null() {
        let start = (text as *mut u8).sub(8);
        let mut size = [0u8; 8];
        size.copy_from_slice(std::slice::from_raw_parts(start, 8));
        let total = u64::from_le_bytes(size) as usize;
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
            start, total,
        )));
    }
}
