//! Byte-pair encoding from a GGUF's token and merge lists, with the pre-tokenizer's expressions.

use crate::Result;
use ahash::{AHashMap, AHashSet};
use tokenizers::models::bpe::{BpeBuilder, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

/// "left right"; the separator is the first space after the first byte, so that a merge whose left
/// side is itself a space is read as llama.cpp reads it.
fn split_merge(merge: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(merge).ok()?;
    let separator = 1 + merge.get(1..)?.iter().position(|b| *b == b' ')?;
    Some((&text[..separator], &text[separator + 1..]))
}

/// The tokenizer, and how many merges name a token that the vocabulary lacks.
pub fn build(
    tokens: &[&[u8]],
    merges: &[&[u8]],
    patterns: &[&[u8]],
    ignore_merges: bool,
    byte_level: bool,
) -> Result<(Tokenizer, usize)> {
    let mut vocab: AHashMap<&str, u32> = AHashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        match std::str::from_utf8(token) {
            Ok(text) if !text.is_empty() => vocab.insert(text, id as u32),
            _ => None,
        };
    }
    let mut skipped = 0;
    let mut kept: Vec<(String, String)> = Vec::with_capacity(merges.len());
    let mut seen: AHashSet<(u32, u32)> = AHashSet::with_capacity(merges.len());
    let mut joined = String::new();
    for merge in merges {
        let Some((left, right)) = split_merge(merge) else {
            skipped += 1;
            continue;
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        match (vocab.get(left), vocab.get(right)) {
            (Some(l), Some(r)) if vocab.contains_key(joined.as_str()) => {
                if seen.insert((*l, *r)) {
                    kept.push((left.to_string(), right.to_string()));
                }
            }
            _ => skipped += 1,
        }
    }
    let mut owned: Vocab = AHashMap::with_capacity(vocab.len() + 257);
    owned.extend(vocab.iter().map(|(t, id)| (t.to_string(), *id)));
    // What the vocabulary has no token for must still keep its neighbours apart, and would vanish
    // before the merges. It gets ids behind the vocabulary's own, which the caller drops.
    let unknown = "<crossval-unknown>".to_string();
    owned.insert(unknown.clone(), (tokens.len() + 256) as u32);
    if byte_level {
        let mut missing: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        missing.sort_unstable();
        missing.retain(|c| !vocab.contains_key(c.encode_utf8(&mut [0; 4]) as &str));
        for (i, c) in missing.iter().enumerate() {
            owned.insert(c.to_string(), (tokens.len() + i) as u32);
        }
    }
    let model = BpeBuilder::new()
        .vocab_and_merges(owned, kept)
        .ignore_merges(ignore_merges)
        .byte_fallback(!byte_level)
        .unk_token(unknown)
        .build()
        .map_err(|e| e.to_string())?;

    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for pattern in patterns {
        let text = std::str::from_utf8(pattern).map_err(|e| e.to_string())?;
        let split = Split::new(
            SplitPattern::Regex(text.to_string()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map_err(|e| format!("pre-tokenizer expression {text}: {e}"))?;
        steps.push(split.into());
    }
    if byte_level {
        // The byte alphabet alone: no space is put in front and GPT-2's own expression is off.
        steps.push(ByteLevel::new(false, true, false).into());
    }
    let mut tokenizer = Tokenizer::new(model);
    if !steps.is_empty() {
        tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    }
    Ok((tokenizer, skipped))
}
