//! Where a page of a list starts: opaque to clients, so that what is in it can change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use raincheck_shared::domain::JobId;
use uuid::Uuid;

use crate::engine::Cursor;

/// The first byte; another one when the content changes.
const FORM: u8 = 1;

/// A cursor as clients see it.
pub(crate) fn write_cursor(cursor: Cursor) -> String {
    let mut bytes = vec![FORM];
    bytes.extend_from_slice(cursor.as_uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor; `None`: it is not one of ours.
pub(crate) fn read_cursor(text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (form, id) = bytes.split_first()?;
    (*form == FORM).then_some(())?;
    Some(JobId::new(Uuid::from_slice(id).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bits: u128) {
            let cursor = JobId::new(Uuid::from_u128(bits));
            prop_assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = read_cursor(&text);
        }
    }

    #[test]
    fn another_form_or_length_is_refused() {
        for bad in ["", "AA", "not base64!", &URL_SAFE_NO_PAD.encode([2; 17]), &URL_SAFE_NO_PAD.encode([1; 16])] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
