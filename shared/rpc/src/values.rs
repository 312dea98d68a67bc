//! Ids, times, enums, numbers and lists of a request.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Fault, Violations};

/// How far a caller's clock may be ahead of ours before its times count as future.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How many resources a page holds.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// If the caller does not say.
    pub default: u32,
    /// At most, whatever the caller says.
    pub max: u32,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { default: 50, max: 1000 }
    }
}

/// `0001-01-01T00:00:00Z` in seconds since 1970.
const YEAR_ONE: i64 = -62_135_596_800;

/// Reads a protobuf timestamp, to the microsecond, which is what Postgres stores.
///
/// # Errors
/// [`Fault`] outside of the years 1 to 9999, which is what protobuf knows, or with nanoseconds that are none.
pub fn timestamp(value: &prost_types::Timestamp) -> Result<Timestamp, Fault> {
    let malformed = || {
        Fault::malformed("a timestamp between the years 1 and 9999", "公元 1 年至 9999 年的时间")
    };
    if !(0..1_000_000_000).contains(&value.nanos) || value.seconds < YEAR_ONE {
        return Err(malformed());
    }
    let nanos = value.nanos - value.nanos % 1000;
    Timestamp::new(value.seconds, nanos).map_err(|_| malformed())
}

/// Writes a timestamp into a message.
pub fn to_proto_timestamp(value: Timestamp) -> prost_types::Timestamp {
    // Protobuf wants the nanoseconds to count forward, before 1970 too.
    let nanos = value.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or_default();
    let nanos = i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default();
    prost_types::Timestamp { seconds, nanos }
}

impl Violations {
    /// A value that must be there.
    pub fn required<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, Fault::required());
        }
        value
    }

    /// Anything that is read from text, with the parser's error as description; empty is missing.
    pub fn parse<T: FromStr>(&mut self, field: &str, value: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        if value.is_empty() {
            self.add(field, Fault::required());
            return None;
        }
        let parsed = value.parse();
        let wrong = |error: T::Err| Fault::new("INVALID", error.to_string(), "格式或取值不正确");
        self.take(field, parsed.map_err(wrong))
    }

    /// A UUID in its usual text form.
    pub fn uuid(&mut self, field: &str, value: &str) -> Option<Uuid> {
        if value.is_empty() {
            self.add(field, Fault::required());
            return None;
        }
        // 36 characters: the parser would also take braces and URNs, and one id needs one text.
        let parsed = if value.len() == 36 { Uuid::try_parse(value).ok() } else { None };
        self.take(
            field,
            parsed.ok_or_else(|| Fault::malformed("a UUID of 36 characters", "36 个字符的 UUID")),
        )
    }

    /// The id by which a retry is recognised: a UUID other than the nil one.
    pub fn request_id(&mut self, field: &str, value: &str) -> Option<Uuid> {
        let id = self.uuid(field, value)?;
        if id.is_nil() {
            self.add(field, Fault::malformed("a UUID other than the nil one", "不全为零的 UUID"));
            return None;
        }
        Some(id)
    }

    /// The UUID in a resource name such as `tickets/0197…`.
    pub fn resource_id(&mut self, field: &str, name: &str, collection: &str) -> Option<Uuid> {
        if name.is_empty() {
            self.add(field, Fault::required());
            return None;
        }
        let id = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
        match id.filter(|id| id.len() == 36).and_then(|id| Uuid::try_parse(id).ok()) {
            Some(id) => Some(id),
            None => {
                self.add(
                    field,
                    Fault::malformed(
                        &format!("a name of the form {collection}/UUID"),
                        &format!("形如 {collection}/UUID 的名称"),
                    ),
                );
                None
            }
        }
    }

    /// A time, which must be there.
    pub fn time(
        &mut self,
        field: &str,
        value: Option<prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        let value = self.required(field, value)?;
        self.take(field, timestamp(&value))
    }

    /// A time that may be absent; the outer `None` means that it is wrong.
    #[allow(clippy::option_option, reason = "absent and wrong are different answers")]
    pub fn optional_time(
        &mut self,
        field: &str,
        value: Option<prost_types::Timestamp>,
    ) -> Option<Option<Timestamp>> {
        match value {
            None => Some(None),
            Some(value) => self.take(field, timestamp(&value)).map(Some),
        }
    }

    /// A time at which something has happened: not after `now`, give or take [`CLOCK_TOLERANCE`]. A time within the
    /// tolerance is taken as `now`, so that nothing stored lies in the future.
    pub fn past_time(
        &mut self,
        field: &str,
        value: Option<prost_types::Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let time = self.time(field, value)?;
        if time <= now {
            return Some(time);
        }
        let ahead = Duration::try_from(time.duration_since(now)).unwrap_or(Duration::MAX);
        if ahead > CLOCK_TOLERANCE {
            self.add(field, Fault::in_the_future());
            return None;
        }
        Some(now)
    }

    /// A duration from `min` to `max`, which must be there.
    pub fn duration(
        &mut self,
        field: &str,
        value: Option<prost_types::Duration>,
        min: Duration,
        max: Duration,
    ) -> Option<Duration> {
        let value = self.required(field, value)?;
        match Duration::try_from(value) {
            Ok(duration) if (min..=max).contains(&duration) => Some(duration),
            Ok(duration) => {
                let seconds = |d: Duration| format!("{}s", d.as_secs_f64());
                let fault = Fault::out_of_range(seconds(min), seconds(max), seconds(duration));
                self.add(field, fault);
                None
            }
            Err(_) => {
                self.add(
                    field,
                    Fault::malformed("a duration that is not negative", "不为负的时长"),
                );
                None
            }
        }
    }

    /// An enum value, which must be given: unspecified is missing, and one that this server does not know (sent by a
    /// newer client) is refused by its number instead of being taken for something else.
    pub fn enumeration<E: TryFrom<i32> + Default + PartialEq>(
        &mut self,
        field: &str,
        value: i32,
    ) -> Option<E> {
        let known = self.optional_enumeration::<E>(field, value)?;
        self.required(field, known)
    }

    /// An enum value that may be unspecified; the outer `None` means that it is unknown.
    #[allow(clippy::option_option, reason = "unspecified and wrong are different answers")]
    pub fn optional_enumeration<E: TryFrom<i32> + Default + PartialEq>(
        &mut self,
        field: &str,
        value: i32,
    ) -> Option<Option<E>> {
        match E::try_from(value) {
            Ok(known) => Some((known != E::default()).then_some(known)),
            Err(_) => {
                self.add(field, Fault::unknown_value(value));
                None
            }
        }
    }

    /// A number within bounds.
    pub fn range<N: PartialOrd + fmt::Display + Copy>(
        &mut self,
        field: &str,
        value: N,
        min: N,
        max: N,
    ) -> Option<N> {
        if value >= min && value <= max {
            return Some(value);
        }
        self.add(field, Fault::out_of_range(min, max, value));
        None
    }

    /// Bounds the length of a list before anything looks into it. `false`: too long, do not.
    pub fn at_most(&mut self, field: &str, length: usize, max: usize) -> bool {
        if length > max {
            self.add(field, Fault::too_many(max, length));
        }
        length <= max
    }

    /// How many resources to return: 0 is the default, more than the maximum is the maximum, negative is wrong.
    pub fn page_size(&mut self, field: &str, value: i32, limits: PageLimits) -> u32 {
        match u32::try_from(value) {
            Ok(0) => limits.default,
            Ok(size) => size.min(limits.max),
            Err(_) => {
                self.add(field, Fault::out_of_range(0, limits.max, value));
                limits.default
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kefu_api::error::v1::Reason;

    use super::*;

    fn fields(violations: &Violations) -> Vec<&str> {
        violations.fields().collect()
    }

    #[test]
    fn x06_a_time_in_the_future_is_refused_beyond_the_tolerance() {
        let now: Timestamp = "2024-02-09T08:00:00Z".parse().unwrap();
        let at = |text: &str| Some(to_proto_timestamp(text.parse().unwrap()));
        let mut violations = Violations::new();
        assert_eq!(violations.past_time("a", at("2024-02-09T08:04:00Z"), now), Some(now));
        assert!(violations.is_empty());
        assert_eq!(violations.past_time("b", at("2024-02-09T08:06:00Z"), now), None);
        assert_eq!(violations.past_time("c", None, now), None);
        assert_eq!(fields(&violations), ["b", "c"]);
    }

    #[test]
    fn timestamps_keep_microseconds_on_both_sides_of_1970() {
        for text in ["2024-02-09T08:00:00.123456Z", "1969-12-31T23:59:59.000001Z"] {
            let time: Timestamp = text.parse().unwrap();
            let proto = to_proto_timestamp(time);
            assert!(proto.nanos >= 0);
            assert_eq!(timestamp(&proto).unwrap(), time);
        }
        let bad = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        assert!(timestamp(&bad).is_err());
        assert!(timestamp(&prost_types::Timestamp { seconds: 0, nanos: -1 }).is_err());
        // Before the first year jiff goes on, and Postgres does not.
        assert!(timestamp(&prost_types::Timestamp { seconds: YEAR_ONE, nanos: 0 }).is_ok());
        assert!(timestamp(&prost_types::Timestamp { seconds: YEAR_ONE - 1, nanos: 0 }).is_err());
    }

    #[test]
    fn x06_an_enum_value_of_a_newer_client_is_named_not_guessed() {
        let mut violations = Violations::new();
        assert_eq!(violations.enumeration::<Reason>("reason", 9), Some(Reason::EtagStale));
        assert_eq!(violations.enumeration::<Reason>("newer", 9999), None);
        assert_eq!(violations.enumeration::<Reason>("missing", 0), None);
        assert_eq!(violations.optional_enumeration::<Reason>("optional", 0), Some(None));
        assert_eq!(fields(&violations), ["newer", "missing"]);
        assert!(violations.check().unwrap_err().message().contains("9999"));
    }

    #[test]
    fn x08_page_sizes_are_bounded() {
        let limits = PageLimits { default: 50, max: 200 };
        let mut violations = Violations::new();
        let sizes = [0, 10, 5000].map(|size| violations.page_size("page_size", size, limits));
        assert_eq!(sizes, [50, 10, 200]);
        assert!(violations.is_empty());
        violations.page_size("page_size", -1, limits);
        assert_eq!(fields(&violations), ["page_size"]);
    }

    #[test]
    fn x02_a_request_id_is_a_uuid() {
        let mut violations = Violations::new();
        let id = "0197c9a4-8d3c-7c4e-8f53-0f7b4c1f2a10";
        assert!(violations.request_id("a", id).is_some());
        for bad in ["", "1", "00000000-0000-0000-0000-000000000000", &id.replace('-', "")] {
            assert_eq!(violations.request_id("bad", bad), None);
        }
        assert_eq!(violations.fields().count(), 4);
        assert!(violations.resource_id("name", &format!("tickets/{id}"), "tickets").is_some());
        assert!(violations.resource_id("name", &format!("ticket/{id}"), "tickets").is_none());
        assert!(violations.resource_id("name", "tickets/../1", "tickets").is_none());
    }

    #[test]
    fn x08_durations_and_lists_are_bounded() {
        let mut violations = Violations::new();
        let day = Duration::from_secs(86_400);
        let hour = prost_types::Duration { seconds: 3600, nanos: 0 };
        assert!(violations.duration("a", Some(hour), Duration::ZERO, day).is_some());
        let negative = prost_types::Duration { seconds: -1, nanos: 0 };
        assert!(violations.duration("b", Some(negative), Duration::ZERO, day).is_none());
        assert!(!violations.at_most("c", 11, 10));
        assert!(violations.range("d", 11, 1, 10).is_none());
        assert_eq!(fields(&violations), ["b", "c", "d"]);
    }
}
