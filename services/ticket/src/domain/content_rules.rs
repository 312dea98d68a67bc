//! What a policy says about the content of tickets: files, the company's own fields, tags (T-01).

use std::collections::BTreeSet;

use super::archive::ArchiveLimits;
use super::attachment::FileFault;
use super::category::CategoryTree;
use super::custom_field::{self, CustomFields, FieldDraft, FieldValues};
use super::media_type::{self, USUAL, canonical};
use super::policy_check::Faults;
use super::refusal::Refusal;
use super::story::Story;
use super::ticket::Details;
use super::word::{Fault, TicketKind};

const MAX_TYPES: usize = 100;
const MIB: i64 = 1024 * 1024;
const GIB: i64 = 1024 * MIB;
const MAX_ALLOWED_TAGS: usize = 500;
/// The most tags that a ticket can have, whatever its policy says.
pub(crate) const MAX_TAGS: usize = 50;

/// A policy's rules for the content of tickets.
#[derive(Clone, Debug)]
pub struct ContentRules {
    /// For files.
    pub files: FileRules,
    /// The company's own fields.
    pub fields: CustomFields,
    /// For tags.
    pub tags: TagRules,
}

/// The same as it is written down.
#[derive(Clone, Debug, Default)]
pub struct ContentDraft {
    /// `attachments`.
    pub files: FileDraft,
    /// `custom_fields`.
    pub fields: Vec<FieldDraft>,
    /// `tags.allowed`.
    pub tags: Vec<String>,
    /// `tags.max_tags`.
    pub max_tags: i32,
}

/// Which files a ticket takes, as it is written down: 0 and nothing mean the usual.
#[derive(Clone, Debug, Default)]
pub struct FileDraft {
    /// `media_types`.
    pub media_types: Vec<String>,
    /// `max_file_bytes`.
    pub max_file_bytes: i64,
    /// `max_ticket_bytes`.
    pub max_ticket_bytes: i64,
    /// `max_files`.
    pub max_files: i32,
    /// `max_archive_entries`.
    pub max_archive_entries: i32,
    /// `max_unpacked_bytes`.
    pub max_unpacked_bytes: i64,
    /// `max_compression_ratio`.
    pub max_compression_ratio: i32,
}

/// Which files a ticket takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRules {
    media_types: BTreeSet<String>,
    /// The longest file, in bytes.
    pub max_file: u64,
    /// All files of a ticket together, in bytes.
    pub max_ticket: u64,
    /// How many files a ticket may have.
    pub max_files: u64,
    /// How much may be in an archive.
    pub archive: ArchiveLimits,
}

impl FileRules {
    /// Passes if files of this type are taken.
    ///
    /// # Errors
    /// [`FileFault::NotTaken`].
    pub fn takes(&self, media_type: &str) -> Result<(), FileFault> {
        if self.media_types.contains(media_type) {
            Ok(())
        } else {
            Err(FileFault::NotTaken { actual: media_type.to_owned() })
        }
    }
}

/// How tickets are tagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRules {
    /// Empty where any tag will do.
    allowed: BTreeSet<String>,
    max: usize,
}

impl TagRules {
    /// What is wrong with the tags that `after` has and `before` had not, and with their number if it grew. Each once is whoever
    /// decoded them's matter.
    #[must_use]
    pub fn faults(&self, before: &[String], after: &[String]) -> Vec<Fault> {
        let mut faults = Vec::new();
        if after.len() > self.max && after.len() > before.len() {
            let english = format!("must be at most {} tags, by the policy", self.max);
            let chinese = format!("制度规定最多 {} 个标签", self.max);
            faults.push(Fault::new("ticket.tags", (english, chinese)));
        }
        for (index, tag) in after.iter().enumerate() {
            let known = self.allowed.is_empty() || self.allowed.contains(tag);
            if !known && !before.contains(tag) {
                let words = ("is not one of the policy's tags", "不在制度规定的标签范围内");
                faults.push(Fault::new(format!("ticket.tags[{index}]"), words));
            }
        }
        faults
    }
}

/// Details as the policy has them, for a ticket that is registered, or that had others before.
pub(super) fn read(
    rules: &ContentRules,
    before: Option<&Details>,
    details: Details,
    kind: TicketKind,
) -> Result<Details, Vec<Fault>> {
    let none = FieldValues::new();
    let present = before.map_or(&none, |before| &before.fields);
    let tags = before.map(|before| before.tags.as_slice()).unwrap_or_default();
    let mut faults = rules.tags.faults(tags, &details.tags);
    if rules.fields.is_empty() && details.fields == *present {
        return if faults.is_empty() { Ok(details) } else { Err(faults) };
    }
    let Details { fields: asked, category, .. } = &details;
    let fields = rules.fields.read(present, asked.clone(), (kind, category));
    let fields = fields.unwrap_or_else(|more| {
        faults.extend(more);
        asked.clone()
    });
    let details = Details { fields, ..details };
    faults.extend(rules.fields.required(before, &details, kind));
    if faults.is_empty() { Ok(details) } else { Err(faults) }
}

/// Passes if the ticket has all fields that a resolution needs.
pub(super) fn may_resolve(story: &Story<'_>, command: &'static str) -> Result<(), Refusal> {
    let fields = story.policy.content.fields.unresolved(&story.ticket);
    if fields.is_empty() {
        return Ok(());
    }
    Err(Refusal::FieldsMissing { state: story.ticket.state.name(), command, fields })
}

pub(super) fn check(draft: ContentDraft, tree: &CategoryTree, faults: &mut Faults) -> ContentRules {
    let fields = custom_field::check(draft.fields, tree, faults);
    ContentRules {
        files: files(draft.files, faults),
        fields,
        tags: tags(draft.tags, draft.max_tags, faults),
    }
}

fn files(draft: FileDraft, faults: &mut Faults) -> FileRules {
    let mut number = |field: &str, value: i64, usual: i64, most: i64| {
        if !(0..=most).contains(&value) {
            let english = format!("must be 0 (meaning {usual}) to {most}");
            let chinese = format!("须为 0（即 {usual}）至 {most}");
            faults.add(format_args!("attachments.{field}"), (english, chinese));
        }
        let value = if value == 0 { usual } else { value };
        u64::try_from(value).unwrap_or_default()
    };
    let max_file = number("max_file_bytes", draft.max_file_bytes, 20 * MIB, GIB);
    let max_ticket = number("max_ticket_bytes", draft.max_ticket_bytes, 200 * MIB, 100 * GIB);
    let max_files = number("max_files", draft.max_files.into(), 50, 1_000);
    let archive = ArchiveLimits {
        entries: number("max_archive_entries", draft.max_archive_entries.into(), 5_000, 50_000),
        unpacked: number("max_unpacked_bytes", draft.max_unpacked_bytes, 512 * MIB, 10 * GIB),
        ratio: number("max_compression_ratio", draft.max_compression_ratio.into(), 200, 1_000),
    };
    if max_ticket < max_file {
        let description = ("must not be less than `max_file_bytes`", "不得小于 `max_file_bytes`");
        faults.add("attachments.max_ticket_bytes", description);
    }
    faults.at_most(draft.media_types.len(), MAX_TYPES, "attachments.media_types");
    let mut media_types = BTreeSet::new();
    for (index, media_type) in draft.media_types.iter().enumerate() {
        let path = format!("attachments.media_types[{index}]");
        if !media_type::is_media_type(media_type) {
            faults.add(
                &path,
                ("must be a media type such as `image/jpeg`", "须为媒体类型，例如 `image/jpeg`"),
            );
        } else if !media_types.insert(canonical(media_type)) {
            faults.add(&path, ("is given twice", "重复"));
        }
    }
    if media_types.is_empty() {
        media_types = USUAL.iter().map(|usual| canonical(usual)).collect();
    }
    FileRules { media_types, max_file, max_ticket, max_files, archive }
}

fn tags(allowed: Vec<String>, max: i32, faults: &mut Faults) -> TagRules {
    faults.at_most(allowed.len(), MAX_ALLOWED_TAGS, "tags.allowed");
    let mut known = BTreeSet::new();
    for (index, tag) in allowed.into_iter().enumerate() {
        if !known.insert(tag) {
            faults.add(format_args!("tags.allowed[{index}]"), ("is given twice", "重复"));
        }
    }
    let max = match usize::try_from(max) {
        Ok(0) => MAX_TAGS,
        Ok(max) if max <= MAX_TAGS => max,
        _ => {
            let english = format!("must be 0 (meaning {MAX_TAGS}) to {MAX_TAGS}");
            let chinese = format!("须为 0（即 {MAX_TAGS}）至 {MAX_TAGS}");
            faults.add("tags.max_tags", (english, chinese));
            MAX_TAGS
        }
    };
    TagRules { allowed: known, max }
}
