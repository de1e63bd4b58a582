//! Cutting text up before the model sees it, so that an expression which gives up is an error. The
//! library's own wrapper ends its matches there without a word (utils/fancy.rs, `SysRegex`), and the
//! rest of the text becomes other ids.

use crate::Result;
use fancy_regex::Regex;
use serde_json::Value;
use tokenizers::pattern::Pattern;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, Offsets,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer,
};

fn expression(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|e| format!("pre-tokenizer expression {text}: {e}"))
}

/// Groups of three digits counted from the right end of a run, each a piece. Stands for
/// `(?=(\d{3})+(?!\d))` and, with `at_word_end`, for `\d{1,3}(?=(?:\d{3})*\b)`: both look from every
/// group to the end of the run, which takes minutes where that is far.
pub struct DigitGroups {
    run: Regex,
    word: Regex,
    at_word_end: bool,
}

impl DigitGroups {
    fn cuts(&self, run: &str, start: usize, cuts: &mut Vec<usize>) {
        let digits: Vec<usize> = run.char_indices().map(|(i, _)| start + i).collect();
        let first = digits.len() % 3;
        if self.at_word_end {
            cuts.push(start);
        }
        cuts.extend(digits.iter().skip(first).step_by(3));
        if self.at_word_end {
            cuts.push(start + run.len());
        }
    }
}

impl Pattern for &DigitGroups {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let mut cuts = vec![0];
        for run in self.run.find_iter(inside) {
            let run = run?;
            let next = inside[run.end()..].chars().next();
            let in_word = match next {
                Some(c) => self.word.is_match(c.encode_utf8(&mut [0; 4]))?,
                None => false,
            };
            if !(self.at_word_end && in_word) {
                self.cuts(run.as_str(), run.start(), &mut cuts);
            }
        }
        cuts.push(inside.len());
        cuts.dedup();
        Ok(cuts.windows(2).map(|c| ((c[0], c[1]), true)).collect())
    }
}

pub enum Step {
    Expression(Regex),
    Digits(DigitGroups),
    Library(PreTokenizerWrapper),
}

impl Step {
    /// An expression as src/text/pre_tokenizers.cc has them.
    pub fn new(text: &str) -> Result<Step> {
        let digits = |at_word_end| {
            Ok(Step::Digits(DigitGroups {
                run: expression(r"\d+")?,
                word: expression(r"\w")?,
                at_word_end,
            }))
        };
        match text {
            r"(?=(\d{3})+(?!\d))" => digits(false),
            r"\d{1,3}(?=(?:\d{3})*\b)" => digits(true),
            _ => Ok(Step::Expression(expression(text)?)),
        }
    }

    pub fn apply(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        use SplitDelimiterBehavior::Isolated;
        match self {
            Step::Expression(regex) => text.split(|_, part| part.split(regex, Isolated)),
            Step::Digits(groups) => text.split(|_, part| part.split(groups, Isolated)),
            Step::Library(step) => step.pre_tokenize(text),
        }
    }
}

/// Every match over the text; an expression that gives up is an error.
fn run_through(regex: &Regex, text: &str) -> tokenizers::Result<()> {
    for found in regex.find_iter(text) {
        found.map_err(|e| format!("an expression of the tokenizer gives up on this text: {e}"))?;
    }
    Ok(())
}

/// What a tokenizer.json does to text before its model, step by step, each with its expression.
pub struct Checks {
    normalizers: Vec<(NormalizerWrapper, Option<Regex>)>,
    steps: Vec<(PreTokenizerWrapper, Option<Regex>)>,
}

/// The expression of a step, as the library writes the step out.
fn expression_of(step: &impl serde::Serialize) -> Result<Option<Regex>> {
    let written = serde_json::to_value(step).map_err(|e| e.to_string())?;
    match &written["pattern"]["Regex"] {
        Value::String(text) => expression(text).map(Some),
        _ => Ok(None),
    }
}

impl Checks {
    pub fn new(tokenizer: &Tokenizer) -> Result<Checks> {
        let mut checks = Checks {
            normalizers: Vec::new(),
            steps: Vec::new(),
        };
        if let Some(normalizer) = tokenizer.get_normalizer() {
            checks.add_normalizer(normalizer)?;
        }
        if let Some(step) = tokenizer.get_pre_tokenizer() {
            checks.add_step(step)?;
        }
        Ok(checks)
    }

    fn add_normalizer(&mut self, normalizer: &NormalizerWrapper) -> Result<()> {
        if let NormalizerWrapper::Sequence(sequence) = normalizer {
            for inner in sequence.as_ref() {
                self.add_normalizer(inner)?;
            }
            return Ok(());
        }
        let regex = expression_of(normalizer)?;
        self.normalizers.push((normalizer.clone(), regex));
        Ok(())
    }

    fn add_step(&mut self, step: &PreTokenizerWrapper) -> Result<()> {
        if let PreTokenizerWrapper::Sequence(sequence) = step {
            for inner in sequence.as_ref() {
                self.add_step(inner)?;
            }
            return Ok(());
        }
        let regex = expression_of(step)?;
        self.steps.push((step.clone(), regex));
        Ok(())
    }

    /// Fails where an expression would give up on the way of this text to the model.
    pub fn check(&self, tokenizer: &Tokenizer, text: &str) -> tokenizers::Result<()> {
        if self.normalizers.iter().all(|(_, regex)| regex.is_none())
            && self.steps.iter().all(|(_, regex)| regex.is_none())
        {
            return Ok(());
        }
        let mut normalized = NormalizedString::from(text);
        for (normalizer, regex) in &self.normalizers {
            if let Some(regex) = regex {
                run_through(regex, normalized.get())?;
            }
            normalizer.normalize(&mut normalized)?;
        }
        let mut parts = tokenizer
            .get_added_vocabulary()
            .extract_and_normalize(tokenizer.get_normalizer(), text);
        for (step, regex) in &self.steps {
            if let Some(regex) = regex {
                let splits = parts.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
                for (part, _, tokens) in splits {
                    if tokens.is_none() {
                        run_through(regex, part)?;
                    }
                }
            }
            step.pre_tokenize(&mut parts)?;
        }
        Ok(())
    }
}
