//! Archives and office documents, judged by their table of contents and without unpacking anything (T-01).
//!
//! What is promised of one that passes: its entries do not overlap, its sizes are possible, together and one by one they stay
//! below the policy's limits, nothing in it is packed a second time but office documents, which count as if they were packed as
//! tightly as the policy allows. Whatever the table says, deflate makes no more than 1,032 bytes of one, so unpacked it is at
//! most so many times longer than it is.

use std::collections::BTreeSet;

use super::media_type;

/// The longest end of an archive: its record and the longest comment.
pub const MAX_TAIL: u64 = 22 + 65_535;
/// The longest table of contents that is read, in bytes.
pub const MAX_DIRECTORY: u64 = 8 * 1024 * 1024;
/// What deflate makes of one byte at most.
const DEFLATE: u64 = 1_032;
/// Smaller entries may be packed as tightly as they like.
const SMALL_ENTRY: u64 = 1024 * 1024;
/// The longest name of an entry, in bytes.
const MAX_NAME: usize = 1_024;
const END: [u8; 4] = *b"PK\x05\x06";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const STORED: u16 = 0;
const DEFLATED: [u16; 2] = [8, 9];
const UNKNOWN: u32 = u32::MAX;

/// How much may be in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Entries.
    pub entries: u64,
    /// Bytes, unpacked.
    pub unpacked: u64,
    /// How many times longer than packed an entry may be.
    pub ratio: u64,
}

/// Where the table of contents is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
    /// How many entries it says it has.
    pub entries: u64,
}

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveFault {
    /// It has no table of contents, or one that contradicts itself.
    Broken(&'static str),
    /// More entries than the policy allows.
    Entries(u64),
    /// Unpacked it is longer than the policy allows.
    Unpacked(u64),
    /// An entry is packed more tightly than the policy allows.
    Ratio(String),
    /// An entry is an archive itself.
    Nested(String),
    /// An entry leads out of the archive, or is called what nobody can read.
    Name(String),
    /// An entry cannot be looked into.
    Sealed(String),
    /// An entry can act when it is opened.
    Active(String),
}

impl ArchiveFault {
    /// In English and in Chinese.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        match self {
            Self::Broken(why) => (
                format!("is an archive whose table of contents cannot be right: {why}"),
                "压缩包目录损坏或自相矛盾".into(),
            ),
            Self::Entries(most) => (
                format!("is an archive with more than {most} entries"),
                format!("压缩包条目超过 {most} 个"),
            ),
            Self::Unpacked(most) => (
                format!("is an archive that unpacks to more than {most} bytes"),
                format!("压缩包解压后超过 {most} 字节"),
            ),
            Self::Ratio(name) => (
                format!("is an archive whose entry {name:?} is packed too tightly"),
                format!("压缩包条目“{name}”压缩比过高"),
            ),
            Self::Nested(name) => (
                format!("is an archive whose entry {name:?} is an archive, too"),
                format!("压缩包条目“{name}”为嵌套压缩包"),
            ),
            Self::Name(name) => (
                format!("is an archive whose entry {name:?} has a name that is not safe"),
                format!("压缩包条目“{name}”的名称不安全"),
            ),
            Self::Sealed(name) => (
                format!(
                    "is an archive whose entry {name:?} is encrypted or packed in an unknown way"
                ),
                format!("压缩包条目“{name}”已加密或压缩方式未知，无法检查"),
            ),
            Self::Active(name) => (
                format!("is an archive whose entry {name:?} is a program or a script"),
                format!("压缩包条目“{name}”为程序或脚本"),
            ),
        }
    }
}

/// An archive that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// What it is, by what is in it.
    pub media_type: &'static str,
}

/// Finds the table of contents by the file's last bytes, of which there are [`MAX_TAIL`] or all; `length` is the file's. None
/// where it ends like no archive.
///
/// # Errors
/// [`ArchiveFault::Broken`] where it ends like one that cannot be.
pub fn directory(tail: &[u8], length: u64) -> Result<Option<Directory>, ArchiveFault> {
    let ends_here = |at: &usize| {
        let comment = tail.get(at + 20..at + 22).map(|bytes| usize::from(u16_at(bytes, 0)));
        tail[*at..].starts_with(&END) && comment == Some(tail.len() - at - 22)
    };
    let Some(at) = (0..tail.len().saturating_sub(21)).rev().find(ends_here) else {
        return Ok(None);
    };
    let end = &tail[at..];
    let (disk, first_disk) = (u16_at(end, 4), u16_at(end, 6));
    let (here, entries) = (u16_at(end, 8), u16_at(end, 10));
    let (size, offset) = (u32_at(end, 12), u32_at(end, 16));
    if entries == u16::MAX || size == UNKNOWN || offset == UNKNOWN {
        return Err(ArchiveFault::Broken("it is in the format for archives beyond 4 GiB"));
    }
    if disk != 0 || first_disk != 0 || here != entries {
        return Err(ArchiveFault::Broken("it is one part of several"));
    }
    let before_end = length - u64::try_from(tail.len() - at).unwrap_or(length);
    let directory = Directory { offset: offset.into(), size: size.into(), entries: entries.into() };
    if directory.offset + directory.size != before_end {
        return Err(ArchiveFault::Broken("it is not where it says it is"));
    }
    if directory.size > MAX_DIRECTORY {
        return Err(ArchiveFault::Broken("it is too long"));
    }
    Ok(Some(directory))
}

/// One entry of the table.
struct Entry<'a> {
    name: std::borrow::Cow<'a, str>,
    sealed: bool,
    method: u16,
    packed: u64,
    unpacked: u64,
    /// Where it is in the file, from its header to its last byte.
    place: (u64, u64),
}

/// Judges an archive by the bytes of its table of contents.
///
/// # Errors
/// The first thing that is wrong.
pub fn inspect(
    bytes: &[u8],
    directory: Directory,
    limits: ArchiveLimits,
) -> Result<Archive, ArchiveFault> {
    if directory.entries > limits.entries {
        return Err(ArchiveFault::Entries(limits.entries));
    }
    let mut rest = bytes;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, next) = entry(rest)?;
        entries.push(entry);
        if u64::try_from(entries.len()).unwrap_or(u64::MAX) > directory.entries {
            return Err(ArchiveFault::Broken("it has more entries than it says"));
        }
        rest = next;
    }
    if u64::try_from(entries.len()) != Ok(directory.entries) {
        return Err(ArchiveFault::Broken("it does not have the entries that it says it has"));
    }
    let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.name).collect();
    if names.len() != entries.len() {
        return Err(ArchiveFault::Broken("it has two entries of one name"));
    }
    let media_type = kind(&names);
    let office = media_type != ZIP;
    let mut unpacked: u64 = 0;
    for entry in &entries {
        check(entry, limits, office)?;
        // An office document in there is an archive that nobody has looked into.
        let as_if = match extension(&entry.name).as_str() {
            "docx" | "xlsx" | "pptx" | "docm" | "xlsm" | "pptm" | "xlsb" | "odt" | "ods"
            | "odp" | "epub" => limits.ratio,
            _ => 1,
        };
        unpacked = unpacked.saturating_add(entry.unpacked.saturating_mul(as_if));
        if unpacked > limits.unpacked {
            return Err(ArchiveFault::Unpacked(limits.unpacked));
        }
    }
    let mut places: Vec<(u64, u64)> = entries.iter().map(|entry| entry.place).collect();
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    if !apart || places.last().is_some_and(|last| last.1 > directory.offset) {
        return Err(ArchiveFault::Broken("its entries overlap"));
    }
    Ok(Archive { media_type })
}

fn check(entry: &Entry<'_>, limits: ArchiveLimits, office: bool) -> Result<(), ArchiveFault> {
    let name = || entry.name.chars().take(100).collect::<String>();
    let segments = || entry.name.split('/');
    if entry.name.is_empty()
        || entry.name.len() > MAX_NAME
        || entry.name.starts_with('/')
        || entry.name.contains(['\\', '\0', ':'])
        || segments().any(|segment| segment == "..")
    {
        return Err(ArchiveFault::Name(name()));
    }
    let deflated = DEFLATED.contains(&entry.method);
    if entry.sealed || !(deflated || entry.method == STORED) {
        return Err(ArchiveFault::Sealed(name()));
    }
    let possible = if deflated {
        entry.unpacked <= entry.packed.saturating_mul(DEFLATE)
    } else {
        entry.unpacked == entry.packed
    };
    if !possible {
        return Err(ArchiveFault::Broken("an entry has sizes that cannot be"));
    }
    if entry.unpacked > SMALL_ENTRY && entry.unpacked > entry.packed.saturating_mul(limits.ratio) {
        return Err(ArchiveFault::Ratio(name()));
    }
    let extension = extension(&entry.name);
    if media_type::is_archive_extension(&extension) {
        return Err(ArchiveFault::Nested(name()));
    }
    // Macros of an office document are its media type's matter.
    if !office && media_type::is_active_extension(&extension) {
        return Err(ArchiveFault::Active(name()));
    }
    Ok(())
}

const ZIP: &str = "application/zip";

/// What an archive is by what is in it.
fn kind(names: &BTreeSet<&str>) -> &'static str {
    let has = |name: &str| names.contains(name);
    if has("META-INF/MANIFEST.MF") || has("AndroidManifest.xml") {
        return "application/java-archive";
    }
    if !has("[Content_Types].xml") {
        return ZIP;
    }
    let macros = names.iter().any(|name| {
        name.rsplit('/').next().is_some_and(|file| file.eq_ignore_ascii_case("vbaProject.bin"))
            || name.to_ascii_lowercase().contains("/activex/")
    });
    let office = [
        ("word/document.xml", media_type::DOCX, "application/vnd.ms-word.document.macroenabled.12"),
        ("xl/workbook.xml", media_type::XLSX, "application/vnd.ms-excel.sheet.macroenabled.12"),
        (
            "ppt/presentation.xml",
            media_type::PPTX,
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
    ];
    let found = office.into_iter().find(|(part, ..)| has(part));
    match found {
        Some((_, _, with_macros)) if macros => with_macros,
        Some((_, plain, _)) => plain,
        None => ZIP,
    }
}

fn extension(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or_default();
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn entry(bytes: &[u8]) -> Result<(Entry<'_>, &[u8]), ArchiveFault> {
    const HEAD: usize = 46;
    const CUT: ArchiveFault = ArchiveFault::Broken("it is cut off");
    if bytes.len() < HEAD || !bytes.starts_with(&ENTRY) {
        return Err(CUT);
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(bytes, at)));
    let [name, extra, comment] = lengths;
    let end = HEAD + name + extra + comment;
    let (Some(raw), Some(next)) = (bytes.get(HEAD..HEAD + name), bytes.get(end..)) else {
        return Err(CUT);
    };
    let (packed, unpacked, offset) = (u32_at(bytes, 20), u32_at(bytes, 24), u32_at(bytes, 42));
    if [packed, unpacked, offset].contains(&UNKNOWN) {
        return Err(ArchiveFault::Broken("it is in the format for archives beyond 4 GiB"));
    }
    let flags = u16_at(bytes, 8);
    let (packed, offset) = (u64::from(packed), u64::from(offset));
    // The header in front of the bytes has the name once more.
    let last = offset + 30 + u64::try_from(name).unwrap_or_default() + packed;
    let entry = Entry {
        name: String::from_utf8_lossy(raw),
        sealed: flags & 0x2041 != 0,
        method: u16_at(bytes, 10),
        packed,
        unpacked: unpacked.into(),
        place: (offset, last),
    };
    Ok((entry, next))
}

/// Nothing but zeros where there is nothing.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}
