//! What a policy says of duplicates, merges and mass complaints (T-04).

use std::time::Duration;

use super::policy_check::{Faults, MAX_DAYS};

const DEFAULT_WINDOW_DAYS: u32 = 30;
const DEFAULT_LIKENESS: u32 = 40;
const DEFAULT_MOST: u32 = 10;
/// The most duplicates that can be offered.
const MAX_MOST: u32 = 50;

/// As it was handed in; 0 stands for the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkDraft {
    /// `duplicate_window_days`.
    pub window_days: i32,
    /// `duplicate_likeness_percent`.
    pub likeness_percent: i32,
    /// `same_customer_is_enough`.
    pub same_customer_is_enough: bool,
    /// `most_duplicates`.
    pub most: i32,
    /// `merge_across_customers`.
    pub across_customers: bool,
    /// `unmerge_within_days`.
    pub unmerge_within_days: i32,
    /// `resolve_children`.
    pub resolve_children: bool,
}

/// The same, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRules {
    /// How far apart duplicates are registered at most.
    pub window: Duration,
    /// From how much likeness on a text alone makes a duplicate, 1 to 100 percent.
    pub likeness_percent: u32,
    /// Whether the same customer alone makes one.
    pub same_customer_is_enough: bool,
    /// The most that are offered.
    pub most: usize,
    /// Whether tickets of two registered customers are merged.
    pub across_customers: bool,
    /// For how long a merge can be undone; none means for ever.
    pub unmerge_within: Option<Duration>,
    /// Whether a solution on the parent becomes one of the children.
    pub resolve_children: bool,
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

pub(super) fn check(draft: &LinkDraft, faults: &mut Faults) -> LinkRules {
    let mut number = |field: &str, value: i32, default: u32, most: u32| match u32::try_from(value) {
        Ok(0) => default,
        Ok(value) if value <= most => value,
        _ => {
            let english = format!("must be 0 (meaning {default}) to {most}");
            let words = (english, format!("须为 0（即 {default}）至 {most}"));
            faults.add(format!("links.{field}"), words);
            default
        }
    };
    let window = number("duplicate_window_days", draft.window_days, DEFAULT_WINDOW_DAYS, MAX_DAYS);
    let likeness_percent =
        number("duplicate_likeness_percent", draft.likeness_percent, DEFAULT_LIKENESS, 100);
    let most = number("most_duplicates", draft.most, DEFAULT_MOST, MAX_MOST);
    let undo = number("unmerge_within_days", draft.unmerge_within_days, 0, MAX_DAYS);
    LinkRules {
        window: days(window),
        likeness_percent,
        same_customer_is_enough: draft.same_customer_is_enough,
        most: usize::try_from(most).unwrap_or_default(),
        across_customers: draft.across_customers,
        unmerge_within: (undo > 0).then(|| days(undo)),
        resolve_children: draft.resolve_children,
    }
}
