//! What a file is: by its content, never by what it says (T-01).

use super::attachment::FileFault;

pub(super) const DOCX: &str =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(super) const PPTX: &str =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";
/// A file that is nothing known.
const UNKNOWN: &str = "application/octet-stream";
const PLAIN: &str = "text/plain";

/// So many of a file's first bytes tell what it is.
pub const HEAD: usize = 8 * 1024;

/// The usual types, for a policy that names none.
pub(super) const USUAL: [&str; 16] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/heic",
    "application/pdf",
    PLAIN,
    "text/csv",
    DOCX,
    XLSX,
    PPTX,
    "audio/mpeg",
    "audio/mp4",
    "audio/amr",
    "audio/wav",
    "video/mp4",
];

/// Other names for one type.
const ALIASES: [(&str, &str); 20] = [
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/heif", "image/heic"),
    ("audio/m4a", "audio/mp4"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/x-wav", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("audio/vnd.wave", "audio/wav"),
    ("application/x-pdf", "application/pdf"),
    ("application/x-zip-compressed", "application/zip"),
    ("application/x-zip", "application/zip"),
    ("application/x-rar-compressed", "application/vnd.rar"),
    ("application/csv", "text/csv"),
    ("text/comma-separated-values", "text/csv"),
    ("text/xml", "application/xml"),
    ("application/javascript", "text/javascript"),
    ("application/x-javascript", "text/javascript"),
    ("video/x-m4v", "video/mp4"),
    ("text/x-markdown", "text/markdown"),
];

/// Kinds of text that look like any other text; the declaration, or else the name, says which it is.
const KINDS_OF_TEXT: [(&str, &str); 8] = [
    ("txt", PLAIN),
    ("csv", "text/csv"),
    ("tsv", "text/tab-separated-values"),
    ("md", "text/markdown"),
    ("json", "application/json"),
    ("eml", "message/rfc822"),
    ("ics", "text/calendar"),
    ("vcf", "text/vcard"),
];

/// What acts when it is opened, by the end of its name.
const ACTIVE: [(&str, &str); 36] = [
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("dll", "application/vnd.microsoft.portable-executable"),
    ("scr", "application/vnd.microsoft.portable-executable"),
    ("com", "application/x-msdos-program"),
    ("pif", "application/x-msdos-program"),
    ("msi", "application/x-msi"),
    ("bat", "application/x-bat"),
    ("cmd", "application/x-bat"),
    ("ps1", "application/x-powershell"),
    ("psm1", "application/x-powershell"),
    ("vbs", "text/vbscript"),
    ("vbe", "text/vbscript"),
    ("js", "text/javascript"),
    ("mjs", "text/javascript"),
    ("jse", "text/javascript"),
    ("wsf", "text/javascript"),
    ("wsh", "text/javascript"),
    ("hta", "application/hta"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("xhtml", "application/xhtml+xml"),
    ("mht", "multipart/related"),
    ("svg", "image/svg+xml"),
    ("svgz", "image/svg+xml"),
    ("lnk", "application/x-ms-shortcut"),
    ("url", "application/x-ms-shortcut"),
    ("reg", "application/x-registry"),
    ("sh", "text/x-shellscript"),
    ("bash", "text/x-shellscript"),
    ("py", "text/x-python"),
    ("pl", "text/x-perl"),
    ("rb", "text/x-ruby"),
    ("php", "application/x-httpd-php"),
    ("jsp", "application/x-jsp"),
    ("class", "application/java"),
    ("swf", "application/x-shockwave-flash"),
];

const ARCHIVES: [&str; 18] = [
    "zip", "jar", "war", "apk", "7z", "rar", "gz", "tgz", "bz2", "xz", "zst", "lz", "lzma", "cab",
    "iso", "tar", "z", "arj",
];

/// What names of files say; of those that are not here nothing is expected.
const EXTENSIONS: [(&str, &[&str]); 24] = [
    ("jpg", &["image/jpeg"]),
    ("jpeg", &["image/jpeg"]),
    ("png", &["image/png"]),
    ("gif", &["image/gif"]),
    ("webp", &["image/webp"]),
    ("heic", &["image/heic"]),
    ("heif", &["image/heic"]),
    ("bmp", &["image/bmp"]),
    ("tif", &["image/tiff"]),
    ("tiff", &["image/tiff"]),
    ("pdf", &["application/pdf"]),
    ("docx", &[DOCX]),
    ("xlsx", &[XLSX]),
    ("pptx", &[PPTX]),
    ("doc", &["application/msword", "application/x-ole-storage", "application/rtf"]),
    ("xls", &["application/vnd.ms-excel", "application/x-ole-storage"]),
    ("ppt", &["application/vnd.ms-powerpoint", "application/x-ole-storage"]),
    ("mp3", &["audio/mpeg"]),
    ("m4a", &["audio/mp4", "video/mp4"]),
    ("amr", &["audio/amr"]),
    ("wav", &["audio/wav"]),
    ("mp4", &["video/mp4", "audio/mp4"]),
    ("zip", &["application/zip"]),
    ("rar", &["application/vnd.rar"]),
];

/// Formats that are made of text, and yet no text.
const WRITTEN_AS_TEXT: [&str; 5] = [
    "application/pdf",
    "application/rtf",
    "application/postscript",
    "text/html",
    "text/x-shellscript",
];

const MP4: [&str; 2] = ["audio/mp4", "video/mp4"];

/// Whether a file of this name can act when it is opened.
pub(super) fn is_active_extension(extension: &str) -> bool {
    ACTIVE.iter().any(|(known, _)| *known == extension)
}

/// Whether a file of this name is an archive.
pub(super) fn is_archive_extension(extension: &str) -> bool {
    ARCHIVES.contains(&extension)
}

/// The one name of a type, in small letters and without parameters.
#[must_use]
pub fn canonical(media_type: &str) -> String {
    let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(other, _)| *other == bare);
    alias.map_or(bare, |(_, name)| (*name).to_owned())
}

/// Whether it is written like a media type: two names of RFC 6838 with `/` between them.
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let name = |name: &str| {
        (1..=100).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, format)| name(kind) && name(format))
}

/// What is known of a file's content.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Its first [`HEAD`] bytes, or all.
    pub head: &'a [u8],
    /// Whether all of it can be text.
    pub text: bool,
    /// What the archive is that it is, by its table of contents.
    pub archive: Option<&'a str>,
}

/// Whether a file begins like an archive whose table of contents is to be looked at.
#[must_use]
pub fn is_archive(head: &[u8]) -> bool {
    [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08"].iter().any(|sign| head.starts_with(sign))
}

/// What a file is, where content, declaration and name agree.
///
/// # Errors
/// [`FileFault`] with what does not.
pub fn judge(content: Content<'_>, file_name: &str, declared: &str) -> Result<String, FileFault> {
    let declared = Some(canonical(declared)).filter(|d| !d.is_empty() && d != UNKNOWN);
    let extension = file_name
        .rsplit_once('.')
        .map(|(_, extension)| extension.trim().to_lowercase())
        .unwrap_or_default();
    let found = sniff(content);
    let active = ACTIVE.iter().find(|(known, _)| *known == extension).map(|(_, kind)| *kind);
    let actual = match (found.as_str(), active) {
        // A script looks like any text; its name says what happens when it is opened.
        (PLAIN, Some(kind)) => kind.to_owned(),
        (PLAIN, None) => kind_of_text(&extension, declared.as_deref()),
        _ => found,
    };
    if let Some(declared) = declared {
        // What spreadsheets call the tables that they export.
        let exported = actual == "text/csv" && declared == "application/vnd.ms-excel";
        // One format for both, whose beginning seldom tells which.
        let recording = [&declared, &actual].iter().all(|kind| MP4.contains(&kind.as_str()));
        if declared != actual && !exported && !recording {
            return Err(FileFault::OtherType { declared, actual });
        }
    }
    let expected = EXTENSIONS.iter().find(|(known, _)| *known == extension);
    let named = expected.is_none_or(|(_, types)| types.contains(&actual.as_str()))
        && active.is_none_or(|kind| kind == actual);
    if named { Ok(actual) } else { Err(FileFault::OtherExtension { extension, actual }) }
}

fn kind_of_text(extension: &str, declared: Option<&str>) -> String {
    let declared =
        declared.filter(|declared| KINDS_OF_TEXT.iter().any(|(_, kind)| kind == declared));
    let named = KINDS_OF_TEXT.iter().find(|(known, _)| *known == extension).map(|(_, kind)| *kind);
    declared.or(named).unwrap_or(PLAIN).to_owned()
}

fn sniff(content: Content<'_>) -> String {
    if let Some(archive) = content.archive {
        // What is in it says more than its first bytes, but for formats whose first entry is their name.
        let named = infer::get(content.head).map(|kind| kind.mime_type());
        let named = named.filter(|kind| kind.contains("opendocument") || kind.contains("epub"));
        return canonical(named.filter(|_| archive == "application/zip").unwrap_or(archive));
    }
    let magic = infer::get(content.head).map(|kind| canonical(kind.mime_type()));
    if content.text {
        if let Some(markup) = markup(content.head) {
            return markup.to_owned();
        }
        // A few letters at the beginning make no picture of what is nothing but text.
        let magic = magic.filter(|magic| WRITTEN_AS_TEXT.contains(&magic.as_str()));
        return magic.unwrap_or_else(|| PLAIN.to_owned());
    }
    magic.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// What a text is that begins like a page, a drawing or a program.
fn markup(head: &[u8]) -> Option<&'static str> {
    let text = readable(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("#!") {
        return Some("text/x-shellscript");
    }
    if text.starts_with("<?php") || text.starts_with("<%") {
        return Some("application/x-httpd-php");
    }
    if !text.starts_with('<') {
        return None;
    }
    if text.contains("<svg") || text.contains(":svg") {
        return Some("image/svg+xml");
    }
    let page = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<script",
        "<iframe",
        "<style",
        "<a ",
        "<img",
        "<meta",
        "<object",
        "<embed",
        "<link",
        "<form",
        "<div",
        "<table",
        "<p>",
        "<br",
        "<title",
        "<!--",
    ];
    if page.iter().any(|tag| text.starts_with(tag))
        || text.contains("<html")
        || text.contains("<script")
    {
        return Some("text/html");
    }
    text.starts_with("<?xml").then_some("application/xml")
}

/// The beginning of a text in small letters, in whatever encoding.
fn readable(head: &[u8]) -> String {
    let wide = |decode: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = head.chunks_exact(2).map(|two| decode([two[0], two[1]])).collect();
        String::from_utf16_lossy(&units).to_lowercase()
    };
    match head {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(head).to_lowercase(),
    }
}

/// Whether what has been seen of a file can be text. Fed with its bytes as they come.
#[derive(Clone, Copy, Debug)]
pub struct TextWatch {
    width: Width,
    broken: bool,
}

/// In how many bytes a text is written.
#[derive(Clone, Copy, Debug)]
enum Width {
    /// Too little was seen; the first byte, if there was one.
    NotKnown(Option<u8>),
    /// Every byte counts.
    Bytes,
    /// Two bytes make a unit; the first of one that is not whole yet.
    Units(fn([u8; 2]) -> u16, Option<u8>),
}

impl Default for TextWatch {
    fn default() -> Self {
        Self { width: Width::NotKnown(None), broken: false }
    }
}

impl TextWatch {
    /// Looks at the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let (Width::NotKnown(first), Some((byte, rest))) = (self.width, bytes.split_first()) {
            self.width = match first.map(|first| [first, *byte]) {
                None => Width::NotKnown(Some(*byte)),
                Some([0xff, 0xfe]) => Width::Units(u16::from_le_bytes, None),
                Some([0xfe, 0xff]) => Width::Units(u16::from_be_bytes, None),
                Some(two) => {
                    self.broken |= two.into_iter().any(|byte| is_control(byte.into()));
                    Width::Bytes
                }
            };
            bytes = rest;
        }
        match &mut self.width {
            Width::NotKnown(_) => {}
            Width::Bytes => {
                self.broken = self.broken || bytes.iter().any(|byte| is_control((*byte).into()));
            }
            Width::Units(decode, half) => {
                for byte in bytes {
                    match half.take() {
                        None => *half = Some(*byte),
                        Some(first) => self.broken |= is_control(decode([first, *byte])),
                    }
                }
            }
        }
    }

    /// Whether all of it can be text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let whole = match self.width {
            Width::NotKnown(first) => first.is_none_or(|byte| !is_control(byte.into())),
            Width::Bytes => true,
            Width::Units(_, half) => half.is_none(),
        };
        whole && !self.broken
    }
}

/// Nothing that stands in a text, but for blanks and line breaks, and the escape of an old encoding.
fn is_control(unit: u16) -> bool {
    (unit < 0x20 && !matches!(unit, 0x09 | 0x0a | 0x0c | 0x0d | 0x1b)) || unit == 0x7f
}
