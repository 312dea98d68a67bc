//! Which fields an update changes (AIP-134).

use prost_types::FieldMask;

use crate::{Fault, Violations};

/// No mask has a use for more.
const MAX_PATHS: usize = 100;

/// Which fields of a message are read: for something new all, for an update those that its mask names, or, without a
/// mask, those that are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All: for something new, and for `*`.
    All,
    /// Those that are set: for an update without a mask.
    Set,
    /// Those named.
    Named(Vec<String>),
}

impl Mask {
    /// The mask in the field `update_mask`; every name that is not among `changeable`, the fields' names in the message,
    /// is a violation.
    pub fn decode(
        violations: &mut Violations,
        mask: Option<FieldMask>,
        changeable: &[impl AsRef<str>],
    ) -> Self {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Self::Set };
        if mask.paths == ["*"] {
            return Self::All;
        }
        if !violations.at_most("update_mask.paths", mask.paths.len(), MAX_PATHS) {
            return Self::Named(Vec::new());
        }
        for (index, path) in mask.paths.iter().enumerate() {
            if !changeable.iter().any(|field| field.as_ref() == path) {
                let all: Vec<&str> = changeable.iter().map(AsRef::as_ref).collect();
                let all = all.join(", ");
                let fault = Fault::new(
                    "NOT_CHANGEABLE",
                    format!("names no field that can be changed; these are: {all}"),
                    format!("不是可修改的字段；可修改：{all}"),
                );
                violations.add(&format!("update_mask.paths[{index}]"), fault);
            }
        }
        Self::Named(mask.paths)
    }

    /// Decodes a field if it is wanted; `is_set` says whether the message has it. `None` leaves it as it is.
    pub fn take<T>(
        &self,
        field: &str,
        is_set: bool,
        decode: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        let wanted = match self {
            Self::All => true,
            Self::Set => is_set,
            Self::Named(paths) => paths.iter().any(|path| path == field),
        };
        if wanted { decode() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(paths: &[&str]) -> (Mask, Vec<String>) {
        let mut violations = Violations::new();
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let mask = Mask::decode(&mut violations, Some(mask), &["title", "tags"]);
        let fields = violations.fields().map(str::to_owned).collect();
        (mask, fields)
    }

    #[test]
    fn x06_every_unknown_path_of_a_mask_is_named() {
        let (_, fields) = decode(&["title", "code", "tags", ""]);
        assert_eq!(fields, ["update_mask.paths[1]", "update_mask.paths[3]"]);
        assert_eq!(decode(&["title"]).1, [""; 0]);
        assert_eq!(decode(&["*"]).0, Mask::All);
        assert_eq!(decode(&[]).0, Mask::Set);
    }

    #[test]
    fn x03_a_field_that_the_mask_does_not_name_is_not_read() {
        let (mask, _) = decode(&["tags"]);
        assert_eq!(mask.take("title", true, || Some(1)), None);
        assert_eq!(mask.take("tags", false, || Some(1)), Some(1));
        assert_eq!(Mask::Set.take("title", false, || Some(1)), None);
        assert_eq!(Mask::Set.take("title", true, || Some(1)), Some(1));
    }
}
