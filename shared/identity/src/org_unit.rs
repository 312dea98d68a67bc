//! Org units (组织单元): nodes of the company's tree, written as paths.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most levels that an org unit may lie deep, counting the root.
pub const MAX_SEGMENTS: usize = 8;

/// The most characters in one segment of an org unit.
pub const MAX_SEGMENT_LEN: usize = 63;

/// A node of the company's tree (组织单元), e.g. `group/north/riverside`.
///
/// One to [`MAX_SEGMENTS`] segments of lower-case ASCII letters, digits and hyphens, each 1 to [`MAX_SEGMENT_LEN`]
/// characters and not starting with a hyphen. The path *is* the position in the tree, so scope is decided
/// without asking anybody. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgUnit(Arc<str>);

/// Why a text is not an org unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrgUnitError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_SEGMENTS`] segments.
    #[error("must have at most {MAX_SEGMENTS} segments separated by '/'")]
    TooDeep,
    /// A segment is empty: a leading, trailing or doubled slash.
    #[error("must not have an empty segment")]
    EmptySegment,
    /// A segment is longer than [`MAX_SEGMENT_LEN`].
    #[error("must not have a segment longer than {MAX_SEGMENT_LEN} characters")]
    SegmentTooLong,
    /// A segment has a character that is not allowed there.
    #[error("must have segments of a-z, 0-9 and '-' only, not starting with '-'")]
    BadCharacter,
}

impl OrgUnit {
    /// The path as text, e.g. `group/north`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// How many segments the path has: 1 for a root.
    pub fn depth(&self) -> usize {
        self.segments().count()
    }

    /// The unit directly above, `None` for a root.
    pub fn parent(&self) -> Option<OrgUnit> {
        self.0.rsplit_once('/').map(|(above, _)| OrgUnit(above.into()))
    }

    /// The units above this one, nearest first, without itself.
    pub fn ancestors(&self) -> impl Iterator<Item = OrgUnit> + use<> {
        std::iter::successors(self.parent(), OrgUnit::parent)
    }

    /// Whether `other` is this unit or lies below it.
    ///
    /// Compares whole segments: `group/north` does not contain `group/north-east`.
    pub fn contains(&self, other: &OrgUnit) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn check(text: &str) -> Result<(), OrgUnitError> {
        if text.is_empty() {
            return Err(OrgUnitError::Empty);
        }
        // Depth first: a long hostile text is refused before its segments are looked at.
        if text.split('/').take(MAX_SEGMENTS + 1).count() > MAX_SEGMENTS {
            return Err(OrgUnitError::TooDeep);
        }
        text.split('/').try_for_each(|segment| match segment.as_bytes() {
            [] => Err(OrgUnitError::EmptySegment),
            bytes if bytes.len() > MAX_SEGMENT_LEN => Err(OrgUnitError::SegmentTooLong),
            [b'-', ..] => Err(OrgUnitError::BadCharacter),
            bytes if bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) => Ok(()),
            _ => Err(OrgUnitError::BadCharacter),
        })
    }
}

impl FromStr for OrgUnit {
    type Err = OrgUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OrgUnit::check(text)?;
        Ok(OrgUnit(text.into()))
    }
}

impl TryFrom<&str> for OrgUnit {
    type Error = OrgUnitError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for OrgUnit {
    type Error = OrgUnitError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OrgUnit::check(&text)?;
        Ok(OrgUnit(text.into()))
    }
}

impl AsRef<str> for OrgUnit {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for OrgUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OrgUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrgUnit({})", self.0)
    }
}

impl Serialize for OrgUnit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrgUnit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(path: &str) -> OrgUnit {
        path.parse().unwrap()
    }

    #[test]
    fn x06_every_malformed_org_unit_is_refused_with_its_reason() {
        let long = "a".repeat(MAX_SEGMENT_LEN + 1);
        for (text, reason) in [
            ("", OrgUnitError::Empty),
            ("/", OrgUnitError::EmptySegment),
            ("group/", OrgUnitError::EmptySegment),
            ("/group", OrgUnitError::EmptySegment),
            ("group//north", OrgUnitError::EmptySegment),
            ("Group", OrgUnitError::BadCharacter),
            ("group/北", OrgUnitError::BadCharacter),
            ("group/-north", OrgUnitError::BadCharacter),
            ("group/../north", OrgUnitError::BadCharacter),
            ("group/no rth", OrgUnitError::BadCharacter),
            ("a/b/c/d/e/f/g/h/i", OrgUnitError::TooDeep),
            (&long, OrgUnitError::SegmentTooLong),
        ] {
            assert_eq!(text.parse::<OrgUnit>(), Err(reason), "{text:?}");
        }
        assert_eq!(unit("a/b/c/d/e/f/g/h").depth(), MAX_SEGMENTS);
    }

    #[test]
    fn x07_a_unit_contains_itself_and_below_but_no_sibling_with_its_prefix() {
        let north = unit("group/north");
        assert!(north.contains(&north));
        assert!(north.contains(&unit("group/north/riverside")));
        assert!(!north.contains(&unit("group")));
        assert!(!north.contains(&unit("group/north-east")));
        assert!(!north.contains(&unit("group/north-east/north")));
        assert!(!unit("group/north-east").contains(&north));
        assert!(!north.contains(&unit("group/nort")));
        assert!(!north.contains(&unit("other/group/north")));
    }

    #[test]
    fn ancestors_come_nearest_first() {
        let above: Vec<_> = unit("group/north/riverside").ancestors().collect();
        assert_eq!(above, [unit("group/north"), unit("group")]);
        assert_eq!(unit("group").ancestors().count(), 0);
    }

    proptest! {
        #[test]
        fn x07_containment_is_exactly_ancestry(
            a in "[ab](/[ab-]{0,2}[ab]){0,3}", b in "[ab](/[ab]{1,2}){0,3}"
        ) {
            if let (Ok(a), Ok(b)) = (a.parse::<OrgUnit>(), b.parse::<OrgUnit>()) {
                prop_assert_eq!(a.contains(&b), a == b || b.ancestors().any(|above| above == a));
                prop_assert_eq!(a.contains(&b) && b.contains(&a), a == b);
            }
        }

        #[test]
        fn x06_no_text_makes_parsing_panic(text in any::<String>()) {
            if let Ok(unit) = text.parse::<OrgUnit>() {
                prop_assert_eq!(unit.as_str(), text);
            }
        }
    }
}
