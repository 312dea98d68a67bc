//! The content of tickets from its messages: custom fields, and what a policy says of files, fields and tags (T-01).

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use kefu_rpc::{Fault, TextRule, Violations};

use super::{policy, values};
use crate::domain::{ContentDraft, FieldDraft, FieldType, FieldValues, FileDraft, MAX_FIELDS};

/// Beyond the limits of the lists nothing is looked at, however much there is.
const MOST_ENTRIES: usize = 500;
/// The most values of a field.
const MAX_VALUES: usize = 200;
const VALUE: TextRule = TextRule::line(2_000).required();
const CODE: TextRule = TextRule::line(40).required();
const MEDIA_TYPE: TextRule = TextRule::line(200).required();
const TAG: TextRule = TextRule::line(50).required();

/// What the fields that are named are to hold; nothing for one that is to be emptied.
pub(super) type AskedFields = Vec<(String, Vec<String>)>;

/// The fields that are named, each once.
pub(super) fn fields(violations: &mut Violations, fields: &[pb::CustomFieldValue]) -> AskedFields {
    if !violations.at_most("custom_fields", fields.len(), MAX_FIELDS) {
        return Vec::new();
    }
    let mut named = BTreeSet::new();
    let mut asked = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        violations.item("custom_fields", index, |violations| {
            let code = violations.text("field", &field.field, CODE);
            if !code.is_empty() && !named.insert(code.clone()) {
                violations.add("field", Fault::new("GIVEN_TWICE", "is given twice", "重复"));
            }
            if !violations.at_most("values", field.values.len(), MAX_VALUES) {
                return;
            }
            let value = |(index, value): (usize, &String)| {
                violations.text(&format!("values[{index}]"), value, VALUE)
            };
            let values = field.values.iter().enumerate().map(value).collect();
            asked.push((code, values));
        });
    }
    asked
}

/// The values with what is asked.
pub(super) fn with(mut present: FieldValues, asked: Option<AskedFields>) -> FieldValues {
    for (code, values) in asked.into_iter().flatten() {
        if values.is_empty() {
            present.remove(&code);
        } else {
            present.insert(code, values);
        }
    }
    present
}

pub(super) fn within_limits(message: &pb::TicketPolicy, violations: &mut Violations) -> bool {
    let types = message.attachments.as_ref().map_or(0, |rules| rules.media_types.len());
    let tags = message.tags.as_ref().map_or(0, |rules| rules.allowed.len());
    let mut within = |field: &str, length| violations.at_most(field, length, MOST_ENTRIES);
    within("attachments.media_types", types)
        && within("tags.allowed", tags)
        && within("custom_fields", message.custom_fields.len())
        && message.custom_fields.iter().enumerate().all(|(index, field)| {
            let lists = [
                ("ticket_kinds", field.ticket_kinds.len()),
                ("categories", field.categories.len()),
                ("choices", field.choices.len()),
            ];
            lists
                .iter()
                .all(|(list, length)| within(&format!("custom_fields[{index}].{list}"), *length))
        })
}

pub(super) fn draft(found: &mut Violations, message: &pb::TicketPolicy) -> ContentDraft {
    let files = message.attachments.as_ref().map(|rules| FileDraft {
        media_types: found.within("attachments", |found| {
            lines(found, "media_types", &rules.media_types, MEDIA_TYPE)
        }),
        max_file_bytes: rules.max_file_bytes,
        max_ticket_bytes: rules.max_ticket_bytes,
        max_files: rules.max_files,
        max_archive_entries: rules.max_archive_entries,
        max_unpacked_bytes: rules.max_unpacked_bytes,
        max_compression_ratio: rules.max_compression_ratio,
    });
    let tags = message.tags.as_ref().map(|rules| {
        found.within("tags", |found| (lines(found, "allowed", &rules.allowed, TAG), rules.max_tags))
    });
    let (tags, max_tags) = tags.unwrap_or_default();
    ContentDraft {
        files: files.unwrap_or_default(),
        fields: policy::each(found, "custom_fields", &message.custom_fields, field),
        tags,
        max_tags,
    }
}

fn lines(found: &mut Violations, field: &str, texts: &[String], rule: TextRule) -> Vec<String> {
    let line =
        |(index, text): (usize, &String)| found.text(&format!("{field}[{index}]"), text, rule);
    texts.iter().enumerate().map(line).collect()
}

fn field(found: &mut Violations, rule: &pb::CustomFieldRule) -> FieldDraft {
    let kinds = rule.ticket_kinds.iter().enumerate().map(|(index, kind)| {
        found.enumeration(&format!("ticket_kinds[{index}]"), *kind).and_then(values::ticket_kind)
    });
    let ticket_kinds = kinds.collect();
    let choices = policy::each(found, "choices", &rule.choices, |found, choice| {
        (choice.code.clone(), policy::text(found, "title", choice.title.as_ref()))
    });
    FieldDraft {
        code: rule.code.clone(),
        title: policy::text(found, "title", rule.title.as_ref()),
        kind: found.enumeration("type", rule.r#type).and_then(field_type),
        ticket_kinds,
        categories: rule.categories.clone(),
        at_registration: rule.required_at_registration,
        at_resolution: rule.required_at_resolution,
        choices,
        max_length: rule.max_length,
        min: rule.min_value.clone(),
        max: rule.max_value.clone(),
    }
}

fn field_type(kind: pb::CustomFieldType) -> Option<FieldType> {
    Some(match kind {
        pb::CustomFieldType::Unspecified => return None,
        pb::CustomFieldType::Text => FieldType::Text,
        pb::CustomFieldType::Number => FieldType::Number,
        pb::CustomFieldType::Decimal => FieldType::Decimal,
        pb::CustomFieldType::Date => FieldType::Date,
        pb::CustomFieldType::Bool => FieldType::Bool,
        pb::CustomFieldType::Choice => FieldType::Choice,
        pb::CustomFieldType::MultiChoice => FieldType::MultiChoice,
    })
}
