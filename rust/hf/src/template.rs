//! Chat templates as `transformers` renders them (transformers/utils/chat_template_utils.py):
//! trim_blocks and lstrip_blocks on, `break`/`continue`, tojson without HTML escapes,
//! raise_exception, strftime_now, and Python's methods on strings, lists and dicts.

use crate::Result;
use minijinja::value::{Kwargs, Value};
use minijinja::{context, Environment, Error, ErrorKind};
use serde_json::ser::{Formatter, PrettyFormatter};

/// Upper bound on the work of one template: a model file is untrusted and may loop for ever.
const FUEL: u64 = 5_000_000;

/// json.dumps writes ", " and ": " where serde_json's compact form has no spaces.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

fn tojson(
    value: Value,
    indent: Option<usize>,
    kwargs: Kwargs,
) -> std::result::Result<String, Error> {
    use serde::Serialize;
    let indent = match kwargs.get::<Option<usize>>("indent")? {
        Some(n) => Some(n),
        None => indent,
    };
    // transformers accepts these too; sort order and separators of a single prompt never matter.
    for name in ["ensure_ascii", "separators", "sort_keys"] {
        let _ = kwargs.get::<Option<Value>>(name)?;
    }
    kwargs.assert_all_used()?;
    let mut out = Vec::new();
    let done = match indent {
        Some(n) => {
            let spaces = " ".repeat(n.min(64));
            let pretty = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(
                &mut out, pretty,
            ))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(
            &mut out,
            PythonFormatter,
        )),
    };
    done.map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    String::from_utf8(out).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

fn raise_exception(message: String) -> std::result::Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Python's datetime.now().strftime(format).
fn strftime_now(format: String) -> std::result::Result<String, Error> {
    let failed = |what: &str| Error::new(ErrorKind::InvalidOperation, what.to_string());
    let items: Vec<_> = chrono::format::StrftimeItems::new(&format).collect();
    if items.contains(&chrono::format::Item::Error) {
        return Err(failed("strftime_now: a conversion that is not known"));
    }
    Ok(chrono::Local::now()
        .format_with_items(items.iter())
        .to_string())
}

/// `{% generation %}` marks the assistant's text for training; it renders as nothing.
fn drop_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let end = start + length + 2;
        let word = rest[start + 2..end - 2]
            .trim_matches(|c| c == '-' || c == '+')
            .trim();
        if word == "generation" || word == "endgeneration" {
            // A comment obeys the same whitespace rules as the block it replaces.
            out.push_str(&rest[..start]);
            out.push_str(&rest[start..end].replacen("{%", "{#", 1).replace("%}", "#}"));
        } else {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Error text with its causes, as one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

pub fn render(source: &str, variables: &str) -> Result<String> {
    let variables: serde_json::Value =
        serde_json::from_str(variables).map_err(|e| format!("template variables: {e}"))?;
    let source = drop_generation_tags(source);
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_filter("tojson", tojson);
    // Jinja2: None is not iterable; minijinja takes it for an empty list.
    env.add_test("iterable", |value: &Value| {
        !value.is_none() && !value.is_undefined() && value.try_iter().is_ok()
    });
    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", strftime_now);
    let template = env.template_from_str(&source).map_err(|e| describe(&e))?;
    template
        .render(context! { ..Value::from_serialize(&variables) })
        .map_err(|e| describe(&e))
}
