//! The input of the built-in handlers: a small JSON object, whose mistakes are named by field.

use raincheck_shared::domain::Payload;
use serde_json::{Map, Value};

use crate::{HandlerError, Outcome};

/// An object whose fields are taken out one by one; what is left at the end was a mistake.
pub(super) struct JsonInput {
    fields: Map<String, Value>,
}

impl JsonInput {
    /// Reads an object. No bytes at all are an object without fields.
    pub(super) fn parse(input: &Payload) -> Result<Self, HandlerError> {
        if input.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { fields: Map::new() });
        }
        match serde_json::from_slice(&input.bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields }),
            Ok(_) => Err(HandlerError::new("the input must be a JSON object")),
            Err(error) => Err(HandlerError::new(format!("the input is not JSON: {error}"))),
        }
    }

    /// Takes a number of seconds between 0 and `max`; `None` when the field is absent.
    pub(super) fn seconds(&mut self, name: &str, max: f64) -> Result<Option<f64>, HandlerError> {
        let Some(value) = self.fields.remove(name) else { return Ok(None) };
        match value.as_f64() {
            Some(seconds) if (0.0..=max).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(HandlerError::new(format!("`{name}` must be a number from 0 to {max}"))),
        }
    }

    /// Takes a line of 1 to `max` characters; `None` when the field is absent.
    pub(super) fn line(&mut self, name: &str, max: usize) -> Result<Option<String>, HandlerError> {
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_line(&text, max) => Ok(Some(text)),
            Some(_) => Err(HandlerError::new(format!("`{name}` must be one line of 1 to {max} characters"))),
        }
    }

    /// Refuses fields that nobody took, so that a typo is not taken for a default.
    pub(super) fn finish(self) -> Result<(), HandlerError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(80).collect();
                Err(HandlerError::new(format!("{shown:?} is not a field of this input")))
            }
        }
    }
}

/// The outcome of an input that is none of these, whatever it says.
pub(super) fn too_large() -> Outcome {
    HandlerError::new("the input is too large to be a small JSON object").fail()
}

fn is_line(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}
