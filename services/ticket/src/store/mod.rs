//! The SQL of this context, and nothing but: rows in, domain values out. Tables are unqualified, the context's schema is
//! first on the role's search path. What no version of this program wrote is [`StoreError::Corrupt`], never a panic.
//!
//! [`StoreError::Corrupt`]: kefu_postgres::StoreError::Corrupt

pub(crate) mod attachment;
pub(crate) mod clock;
pub(crate) mod clock_note;
pub(crate) mod clock_terms;
pub(crate) mod correction;
pub(crate) mod corrective_action;
pub(crate) mod custom_field;
pub(crate) mod customer;
pub(crate) mod delivery;
pub(crate) mod duty;
pub(crate) mod escalation;
pub(crate) mod follow_up;
pub(crate) mod handling;
pub(crate) mod handling_record;
pub(crate) mod history;
pub(crate) mod judged;
pub(crate) mod learning_timer;
pub(crate) mod likeness;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod mass_answer;
pub(crate) mod merge;
pub(crate) mod message;
pub(crate) mod number;
pub(crate) mod outbound;
pub(crate) mod placement;
pub(crate) mod plan;
pub(crate) mod policy_rollout;
pub(crate) mod process;
pub(crate) mod process_list;
pub(crate) mod product_hold;
pub(crate) mod projection;
pub(crate) mod queue;
pub(crate) mod registration;
pub(crate) mod reopening;
pub(crate) mod report;
pub(crate) mod report_suggestion;
pub(crate) mod root_cause;
pub(crate) mod routing;
pub(crate) mod saved_view;
pub(crate) mod search;
pub(crate) mod shift;
pub(crate) mod shift_plan;
pub(crate) mod suggestion;
pub(crate) mod supervision;
pub(crate) mod team;
pub(crate) mod ticket;
pub(crate) mod ticket_basic;
pub(crate) mod ticket_filter;
pub(crate) mod ticket_list;
pub(crate) mod transfer;
pub(crate) mod trigger;
pub(crate) mod verdict;
pub(crate) mod viewer;
pub(crate) mod violation;
pub(crate) mod work_order;
pub(crate) mod work_order_number;
mod work_order_row;

use std::fmt::Display;

use kefu_postgres::StoreError;

/// Reads what a column holds.
fn read<T, E: Display>(column: &str, value: Result<T, E>) -> Result<T, StoreError> {
    value.map_err(|error| StoreError::corrupt(column, error))
}

/// Reads what a column holds, where only some values mean something.
fn known<T>(column: &str, value: Option<T>) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::corrupt(column, "is missing or out of range"))
}

/// One array per column, which `unnest` makes rows of.
macro_rules! column {
    ($rows:expr, $value:expr) => {
        $rows.iter().map($value).collect::<Vec<_>>()
    };
}
use column;
