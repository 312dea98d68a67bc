//! From the messages that all policies share to checked values, with every fault by its path.

use std::time::Duration;

use kefu_api::policy::v1 as pb;
use kefu_calendar::{
    BusinessTime, Calendar, CalendarDraft, DayHours, Exception, ExceptionHours, Hours, Label,
    Problem, Target,
};
use kefu_rpc::{Fault, TextRule, Violations};

/// Limits of the API; the calendar's own are wider.
const MAX_EXCEPTIONS: usize = 1_000;
const MAX_INTERVALS: usize = 8;
const MAX_WEEKLY_HOURS: usize = 7;
/// The shortest and the longest promise.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);
const MOST_WORKING_DAYS: i32 = 366;
/// The longest code.
const MAX_CODE: usize = 63;

/// A code that a policy gives to something of its own, such as `vip`: 1 to 63 lower-case letters, digits and `-`,
/// beginning and ending with a letter or a digit.
pub fn code(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    let fault = if text.is_empty() {
        Fault::required()
    } else if text.len() <= MAX_CODE
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
    {
        return Some(text.to_owned());
    } else {
        Fault::malformed(
            "1 to 63 lower-case letters, digits and `-` between them",
            "1 至 63 个小写字母或数字，其间可用“-”",
        )
    };
    violations.add(field, fault);
    None
}

/// A text in at least one of the two languages, each of at most `max` characters.
pub fn localized_text(
    violations: &mut Violations,
    field: &str,
    text: Option<&pb::LocalizedText>,
    max: usize,
) -> Option<Label> {
    let Some(text) = text.filter(|text| !text.en.trim().is_empty() || !text.zh.trim().is_empty())
    else {
        violations.add(field, Fault::required());
        return None;
    };
    violations.within(field, |violations| {
        let en = violations.take("en", TextRule::line(max).apply(&text.en));
        let zh = violations.take("zh", TextRule::line(max).apply(&text.zh));
        Some(Label::new(en?, zh?))
    })
}

/// The other way round.
pub fn to_localized_text(label: &Label) -> pb::LocalizedText {
    pb::LocalizedText { en: label.en.clone(), zh: label.zh.clone() }
}

/// A promise of time (T-05): exactly one of its kinds, within its bounds.
pub fn target(
    violations: &mut Violations,
    field: &str,
    target: Option<&pb::Target>,
) -> Option<Target> {
    use pb::target::Target as Kind;
    let Some(kind) = target.and_then(|target| target.target.as_ref()) else {
        violations.add(field, Fault::required());
        return None;
    };
    violations.within(field, |violations| match kind {
        Kind::Elapsed(elapsed) => {
            violations.duration("elapsed", Some(*elapsed), SHORTEST, LONGEST).map(Target::Elapsed)
        }
        Kind::Business(business) => violations
            .duration("business", Some(*business), SHORTEST, LONGEST)
            .map(|amount| Target::Business(BusinessTime::new(amount))),
        Kind::WorkingDays(days) => violations
            .range("working_days", *days, 1, MOST_WORKING_DAYS)
            .and_then(|days| u32::try_from(days).ok())
            .map(Target::WorkingDays),
    })
}

/// A business calendar, which must be there.
pub fn calendar(
    violations: &mut Violations,
    field: &str,
    calendar: Option<&pb::BusinessCalendar>,
) -> Option<Calendar> {
    let calendar = violations.required(field, calendar)?;
    violations.within(field, |violations| {
        if !within_limits(violations, calendar) {
            return None;
        }
        let working_day = violations.duration(
            "working_day_length",
            calendar.working_day_length,
            Duration::from_secs(60),
            Duration::from_secs(24 * 3_600),
        );
        // With a stand-in the other fields are looked at, too.
        let draft = draft(calendar, working_day.unwrap_or(Duration::from_secs(8 * 3_600)));
        match Calendar::new(&draft) {
            Ok(calendar) => working_day.map(|_| calendar),
            Err(faults) => {
                for fault in faults {
                    violations.add(&api_path(&fault.path), explained(fault.problem));
                }
                None
            }
        }
    })
}

/// Before anything looks into the lists.
fn within_limits(violations: &mut Violations, calendar: &pb::BusinessCalendar) -> bool {
    let weekly = &calendar.weekly_hours;
    let exceptions = &calendar.exceptions;
    if !violations.at_most("weekly_hours", weekly.len(), MAX_WEEKLY_HOURS)
        | !violations.at_most("exceptions", exceptions.len(), MAX_EXCEPTIONS)
    {
        return false;
    }
    let mut good = true;
    for (index, day) in weekly.iter().enumerate() {
        good &= violations.item("weekly_hours", index, |violations| {
            violations.at_most("intervals", day.intervals.len(), MAX_INTERVALS)
        });
    }
    for (index, day) in exceptions.iter().enumerate() {
        good &= violations.item("exceptions", index, |violations| {
            violations.at_most("intervals", day.intervals.len(), MAX_INTERVALS)
        });
    }
    good
}

fn draft(calendar: &pb::BusinessCalendar, working_day: Duration) -> CalendarDraft {
    let hours = |intervals: &[pb::OpenInterval]| -> Vec<Hours> {
        let hours = intervals.iter();
        hours.map(|i| Hours::new(i.open_time.clone(), i.close_time.clone())).collect()
    };
    let exception = |exception: &pb::CalendarException| Exception {
        date: exception.date.clone(),
        label: exception
            .label
            .as_ref()
            .map(|label| Label::new(label.en.clone(), label.zh.clone()))
            .unwrap_or_default(),
        hours: if exception.intervals.is_empty() {
            ExceptionHours::Closed
        } else {
            ExceptionHours::Open(hours(&exception.intervals))
        },
    };
    CalendarDraft {
        time_zone: calendar.time_zone.clone(),
        week: calendar
            .weekly_hours
            .iter()
            .map(|day| DayHours { day_of_week: day.day_of_week, intervals: hours(&day.intervals) })
            .collect(),
        exceptions: calendar.exceptions.iter().map(exception).collect(),
        working_day,
    }
}

/// The calendar's own words for a field, in those of the API.
fn api_path(path: &str) -> String {
    let renamed = match path.strip_prefix("week") {
        Some(rest) => format!("weekly_hours{rest}"),
        None => path.to_owned(),
    };
    match renamed.rsplit_once('.') {
        Some((day, "open")) => format!("{day}.open_time"),
        Some((day, "close")) => format!("{day}.close_time"),
        _ => renamed,
    }
}

fn explained(problem: Problem) -> Fault {
    let problem = match problem {
        Problem::DayTwice { first } => Problem::DayTwice { first: api_path(&first) },
        Problem::DateTwice { first } => Problem::DateTwice { first: api_path(&first) },
        Problem::Overlaps { with } => Problem::Overlaps { with: api_path(&with) },
        other => other,
    };
    let (reason, chinese) = match &problem {
        Problem::UnknownTimeZone => ("UNKNOWN_TIME_ZONE", "不是有效的 IANA 时区"),
        Problem::WorkingDayLength => ("OUT_OF_RANGE", "一个工作日的时长须大于零且不超过 24 小时"),
        Problem::NeverOpens => ("NEVER_OPENS", "没有任何工作时间"),
        Problem::NotADayOfWeek => ("UNKNOWN_VALUE", "须为星期一至星期日"),
        Problem::DayTwice { .. } => ("DUPLICATE", "该星期重复出现"),
        Problem::DateTwice { .. } => ("DUPLICATE", "该日期重复出现"),
        Problem::NotATime => ("MALFORMED", "时间须为 00:00 至 24:00，格式 HH:MM"),
        Problem::NotADate => ("MALFORMED", "日期格式须为 YYYY-MM-DD"),
        Problem::ClosesBeforeOpening { .. } => {
            ("OUT_OF_RANGE", "结束时间须晚于开始时间；跨夜请分两天")
        }
        Problem::Overlaps { .. } => ("OVERLAPS", "与其他时段重叠"),
        Problem::NoHours => ("REQUIRED", "不能为空；如不营业请关闭该日"),
        Problem::LikeADayOff => ("DAY_OFF", "平时该日不营业"),
        Problem::NoLabel => ("REQUIRED", "须填写中文或英文名称"),
        Problem::LabelTooLong => ("TOO_LONG", "名称过长"),
        Problem::ControlCharacter => ("BAD_CHARACTER", "不能包含控制字符"),
        Problem::TooManyIntervals => ("TOO_MANY", "时段过多"),
        Problem::TooManyExceptions => ("TOO_MANY", "特殊日期过多"),
    };
    Fault::new(reason, problem.to_string(), chinese)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(open: &str, close: &str) -> pb::OpenInterval {
        pb::OpenInterval { open_time: open.into(), close_time: close.into() }
    }

    fn week() -> pb::BusinessCalendar {
        let day = |day_of_week| pb::WeeklyHours {
            day_of_week,
            intervals: vec![interval("09:00", "12:00"), interval("13:00", "18:00")],
        };
        pb::BusinessCalendar {
            time_zone: "Asia/Shanghai".into(),
            weekly_hours: (1..=5).map(day).collect(),
            exceptions: vec![pb::CalendarException {
                date: "2019-10-01".into(),
                label: Some(pb::LocalizedText {
                    en: "National Day".into(), zh: "国庆节".into()
                }),
                intervals: vec![],
            }],
            working_day_length: Some(prost_types::Duration { seconds: 8 * 3_600, nanos: 0 }),
        }
    }

    fn fields(violations: &Violations) -> Vec<&str> {
        violations.fields().collect()
    }

    #[test]
    fn x05_a_sound_calendar_is_taken() {
        let mut violations = Violations::new();
        let calendar = calendar(&mut violations, "calendar", Some(&week())).unwrap();
        assert!(violations.is_empty());
        let due = calendar
            .due_at("2019-09-30T17:00:00+08:00".parse().unwrap(), Target::WorkingDays(1))
            .unwrap();
        assert_eq!(due, "2019-10-02T17:00:00+08:00".parse().unwrap());
    }

    #[test]
    fn x06_every_fault_of_a_calendar_is_named_in_the_words_of_the_api() {
        let mut wrong = week();
        wrong.time_zone = "Mars/Olympus".into();
        wrong.weekly_hours[1].intervals[1].open_time = "25:00".into();
        wrong.weekly_hours[2].intervals[0].close_time = "08:00".into();
        wrong.weekly_hours[4].day_of_week = 1;
        wrong.exceptions[0].label = None;
        wrong.exceptions[0].date = "2019-02-30".into();
        wrong.working_day_length = None;
        let mut violations = Violations::new();
        assert!(calendar(&mut violations, "calendar", Some(&wrong)).is_none());
        let mut found = fields(&violations);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "calendar.exceptions[0].date",
                "calendar.exceptions[0].label",
                "calendar.time_zone",
                "calendar.weekly_hours[1].intervals[1].open_time",
                "calendar.weekly_hours[2].intervals[0].close_time",
                "calendar.weekly_hours[4].day_of_week",
                "calendar.working_day_length",
            ]
        );
    }

    #[test]
    fn x08_a_calendar_beyond_the_limits_is_not_looked_into() {
        let mut wrong = week();
        wrong.exceptions = vec![pb::CalendarException::default(); 1_001];
        let mut violations = Violations::new();
        assert!(calendar(&mut violations, "calendar", Some(&wrong)).is_none());
        assert_eq!(fields(&violations), ["calendar.exceptions"]);
    }

    #[test]
    fn x06_a_target_is_exactly_one_promise_within_its_bounds() {
        use pb::target::Target as Kind;
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let read = |kind| {
            let mut violations = Violations::new();
            let found = target(&mut violations, "t", Some(&pb::Target { target: kind }));
            (found, violations.fields().map(str::to_owned).collect::<Vec<_>>())
        };
        let day = Duration::from_secs(86_400);
        assert_eq!(read(Some(Kind::Elapsed(seconds(86_400)))).0, Some(Target::Elapsed(day)));
        assert_eq!(read(Some(Kind::WorkingDays(3))).0, Some(Target::WorkingDays(3)));
        assert_eq!(read(None).1, ["t"]);
        assert_eq!(read(Some(Kind::Business(seconds(0)))).1, ["t.business"]);
        assert_eq!(read(Some(Kind::WorkingDays(0))).1, ["t.working_days"]);
        assert_eq!(read(Some(Kind::WorkingDays(367))).1, ["t.working_days"]);
    }

    #[test]
    fn x09_a_text_needs_one_language_and_may_have_both() {
        let mut violations = Violations::new();
        let text = |en: &str, zh: &str| pb::LocalizedText { en: en.into(), zh: zh.into() };
        let only = localized_text(&mut violations, "title", Some(&text("", "贵宾")), 10);
        assert_eq!(only, Some(Label::new("", "贵宾")));
        assert!(violations.is_empty());
        localized_text(&mut violations, "a", None, 10);
        localized_text(&mut violations, "b", Some(&text(" ", "")), 10);
        localized_text(&mut violations, "c", Some(&text("ok", "过长的文字过长的文字！")), 10);
        assert_eq!(fields(&violations), ["a", "b", "c.zh"]);
    }

    #[test]
    fn x06_a_code_is_lower_case_and_short() {
        let mut violations = Violations::new();
        assert_eq!(code(&mut violations, "code", "vip-2").unwrap(), "vip-2");
        for bad in ["", "VIP", "-a", "a-", "贵宾", "a b", &"a".repeat(64)] {
            assert_eq!(code(&mut violations, bad, bad), None);
        }
        assert_eq!(fields(&violations).len(), 7);
    }
}
