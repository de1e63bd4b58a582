//! Tokenizers over pieces of words: Unigram (SentencePiece's second kind of model) and WordPiece
//! (BERT's), built from the vocabulary of a GGUF.

use ahash::AHashMap;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Model, NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};

use crate::Result;

/// The best sequence of tokens by the sum of their scores. A token that is empty or not UTF-8 never
/// comes out of text.
pub fn unigram(tokens: &[&[u8]], scores: &[f32], unknown: Option<usize>) -> Result<Unigram> {
    let vocab = tokens
        .iter()
        .zip(scores)
        .map(|(token, score)| match std::str::from_utf8(token) {
            Ok(text) if !text.is_empty() => (text.to_string(), f64::from(*score)),
            // Text unknown to the model scores below the worst of all others; these are none.
            _ => (String::new(), f64::INFINITY),
        })
        .collect();
    Unigram::from(vocab, unknown, false).map_err(|e| e.to_string())
}

/// GGUF writes a token that begins a word with U+2581 in front, and all others without BERT's "##".
const WORD_BEGIN: char = '\u{2581}';

/// BERT's own limit (its max_input_chars_per_word), and the character put in front.
const LONGEST_WORD: usize = 100 + 1;

pub struct BertTokenizer {
    normalizer: BertNormalizer,
    pub model: WordPiece,
}

impl BertTokenizer {
    pub fn new(
        tokens: &[&[u8]],
        unknown: Option<usize>,
        lowercase: bool,
        strip_accents: bool,
    ) -> Result<Self> {
        let mut vocab: AHashMap<String, u32> = AHashMap::with_capacity(tokens.len() + 1);
        for (id, token) in tokens.iter().enumerate() {
            match std::str::from_utf8(token) {
                Ok(text) if !text.is_empty() => vocab.insert(text.to_string(), id as u32),
                _ => None,
            };
        }
        // A name that no word can be: punctuation always stands alone.
        let name = "<crossval-unknown>".to_string();
        if let Some(id) = unknown {
            vocab.insert(name.clone(), id as u32);
        }
        let model = WordPiece::builder()
            .vocab(vocab)
            .unk_token(name)
            .continuing_subword_prefix(String::new())
            .max_input_chars_per_word(LONGEST_WORD)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            normalizer: BertNormalizer::new(true, true, Some(strip_accents), lowercase),
            model,
        })
    }

    pub fn encode(&self, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut normalized = NormalizedString::from(text);
        self.normalizer.normalize(&mut normalized)?;
        let mut parts = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut parts)?;
        let mut ids = Vec::new();
        let mut word = String::new();
        for (part, _, _) in parts.get_splits(OffsetReferential::Original, OffsetType::None) {
            word.clear();
            word.push(WORD_BEGIN);
            word.push_str(part);
            ids.extend(self.model.tokenize(&word)?.iter().map(|token| token.id));
        }
        Ok(ids)
    }
}
