//! Byte-pair encoding from a GGUF's token and merge lists, with the pre-tokenizer's expressions.

use crate::split::Step;
use crate::Result;
use ahash::{AHashMap, AHashSet};
use tokenizers::models::bpe::{BpeBuilder, Vocab, BPE};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizedString};

/// "left right"; the separator is the first space after the first byte, so that a merge whose left
/// side is itself a space is read as llama.cpp reads it.
fn split_merge(merge: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(merge).ok()?;
    let separator = 1 + merge.get(1..)?.iter().position(|b| *b == b' ')?;
    Some((&text[..separator], &text[separator + 1..]))
}

/// The vocabulary, and what stands for text it has no token for.
fn vocabulary(tokens: &[&[u8]], byte_level: bool) -> (Vocab, String) {
    let mut vocab: Vocab = AHashMap::with_capacity(tokens.len() + 257);
    for (id, token) in tokens.iter().enumerate() {
        match std::str::from_utf8(token) {
            Ok(text) if !text.is_empty() => vocab.insert(text.to_string(), id as u32),
            _ => None,
        };
    }
    // What the vocabulary has no token for must still keep its neighbours apart, and would vanish
    // before the merges. It gets ids behind the vocabulary's own, which the caller drops.
    if byte_level {
        let mut missing: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        missing.sort_unstable();
        missing.retain(|c| !vocab.contains_key(c.encode_utf8(&mut [0; 4]) as &str));
        for (i, c) in missing.iter().enumerate() {
            vocab.insert(c.to_string(), (tokens.len() + i) as u32);
        }
    }
    let unknown = "<crossval-unknown>".to_string();
    vocab.insert(unknown.clone(), (tokens.len() + 256) as u32);
    (vocab, unknown)
}

/// Merges in rank order, each once, and how many were left out because they cannot be read or
/// name a token that `vocab` lacks (not asked when it is None).
fn read_merges(merges: &[&[u8]], vocab: Option<&Vocab>) -> (Vec<(String, String)>, usize) {
    let mut kept = Vec::with_capacity(merges.len());
    let mut seen: AHashSet<&[u8]> = AHashSet::with_capacity(merges.len());
    let mut skipped = 0;
    for merge in merges {
        let Some((left, right)) = split_merge(merge) else {
            skipped += 1;
            continue;
        };
        if let Some(vocab) = vocab {
            if ![left, right, &[left, right].concat()]
                .iter()
                .all(|token| vocab.contains_key(*token))
            {
                skipped += 1;
                continue;
            }
        }
        if seen.insert(merge) {
            kept.push((left.to_string(), right.to_string()));
        }
    }
    (kept, skipped)
}

/// The model, and how many merges were left out. Nearly every vocabulary has the tokens of all its
/// merges, so that is tried first; looking them all up doubles the time of loading.
fn model(
    tokens: &[&[u8]],
    merges: &[&[u8]],
    ignore_merges: bool,
    byte_level: bool,
) -> Result<(BPE, usize)> {
    let longest = tokens.iter().map(|t| t.len()).max().unwrap_or(0);
    // The builder joins a merge in a buffer as long as the longest token.
    let all_fit = merges.iter().all(|m| m.len() <= longest + 1);
    for check in [!all_fit, true] {
        let (vocab, unknown) = vocabulary(tokens, byte_level);
        let (kept, skipped) = read_merges(merges, check.then_some(&vocab));
        let built = BpeBuilder::new()
            .vocab_and_merges(vocab, kept)
            .ignore_merges(ignore_merges)
            .byte_fallback(!byte_level)
            .unk_token(unknown)
            .build();
        match built {
            Ok(model) => return Ok((model, skipped)),
            Err(e) if check => return Err(e.to_string()),
            Err(_) => {}
        }
    }
    unreachable!("the second round returns")
}

pub struct BpeTokenizer {
    pub model: BPE,
    steps: Vec<Step>,
}

impl BpeTokenizer {
    pub fn encode(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut parts = PreTokenizedString::from(text);
        for step in &self.steps {
            step.apply(&mut parts)?;
        }
        parts.tokenize(|part| self.model.tokenize(part.get()))?;
        let splits = parts.get_splits(OffsetReferential::Original, OffsetType::None);
        let tokens = splits.iter().filter_map(|(_, _, tokens)| tokens.as_ref());
        Ok(tokens.flatten().map(|token| token.id).collect())
    }
}

/// The tokenizer, and how many merges name a token that the vocabulary lacks.
pub fn build(
    tokens: &[&[u8]],
    merges: &[&[u8]],
    patterns: &[&[u8]],
    ignore_merges: bool,
    byte_level: bool,
) -> Result<(BpeTokenizer, usize)> {
    let (model, skipped) = model(tokens, merges, ignore_merges, byte_level)?;
    let mut steps = Vec::new();
    for pattern in patterns {
        let text = std::str::from_utf8(pattern).map_err(|e| e.to_string())?;
        steps.push(Step::new(text)?);
    }
    if byte_level {
        // The byte alphabet alone: no space is put in front and GPT-2's own expression is off.
        steps.push(Step::Library(ByteLevel::new(false, true, false).into()));
    }
    Ok((BpeTokenizer { model, steps }, skipped))
}
