//! The handover record of a shift on paper (交接班记录), T-17, in English or Chinese: what was unfinished and why, and both
//! signatures, or room for them. One HTML document that needs nothing from elsewhere: no script, no picture, no font.
//!
//! Everything that is not written here goes through [`escape`], so that whatever people wrote is shown and never obeyed.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kefu_rpc::Language;

use super::work_order_form::escape;
use crate::domain::{OrderStateName, Shift, StepTaken, Text};
use crate::store::shift::Line;

const STYLE: &str = "@page{size:A4;margin:14mm}*{box-sizing:border-box}\
body{font:10pt/1.4 \"Noto Sans\",\"Noto Sans CJK SC\",\"PingFang SC\",\"Microsoft YaHei\",sans-serif;color:#000;\
margin:0 auto;max-width:182mm}h1{font-size:16pt;margin:0 0 3mm}h2{font-size:12pt;margin:5mm 0 1mm;break-after:avoid}\
p{margin:0 0 2mm}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 4mm;margin:0}dt{font-weight:bold}\
dd{margin:0;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}thead{display:table-header-group}\
tr{break-inside:avoid}th,td{border:.2mm solid #555;padding:1mm 1.5mm;text-align:left;vertical-align:top;\
overflow-wrap:anywhere}th{background:#eee;print-color-adjust:exact;-webkit-print-color-adjust:exact}\
td{white-space:pre-wrap}.sign{display:grid;grid-template-columns:1fr 1fr;gap:6mm;margin-top:6mm;break-inside:avoid}\
.sign>div{border:.3mm solid #000;padding:2mm 3mm;min-height:32mm}.line{display:block;height:12mm;\
border-bottom:.2mm solid #000}.draft{border:.6mm double #000;padding:1.5mm;font-weight:bold}";

/// What the record tells.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// The outgoing shift.
    pub(crate) shift: &'a Shift,
    /// The incoming one, where it has signed.
    pub(crate) incoming: Option<&'a Shift>,
    /// What is unfinished, or was when the outgoing shift signed.
    pub(crate) lines: &'a [Line],
    /// Whether there are more.
    pub(crate) cut: bool,
    /// What the dispatch centre is called, in English and in Chinese.
    pub(crate) title: Option<&'a (String, String)>,
    /// What the pattern is called.
    pub(crate) pattern: Option<&'a Text>,
    /// When this was made.
    pub(crate) as_of: Timestamp,
}

/// The page, with times in `zone` to the minute.
#[must_use]
pub(crate) fn render(record: &Record<'_>, language: Language, zone: &TimeZone) -> String {
    let page = Page { record, language, zone };
    let title = page.words("Shift handover record", "交接班记录");
    let mut html = String::with_capacity(8 * 1024);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        page.words("en", "zh-CN"),
    );
    page.draft(&mut html);
    page.about(&mut html);
    page.list(&mut html);
    page.signatures(&mut html);
    html.push_str("</body>\n</html>\n");
    html
}

struct Page<'a> {
    record: &'a Record<'a>,
    language: Language,
    zone: &'a TimeZone,
}

impl Page<'_> {
    fn words(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    /// Nobody takes for a record what nobody has signed.
    fn draft(&self, html: &mut String) {
        if self.record.shift.signed_out.is_none() {
            let words = self.words(
                "DRAFT: the outgoing shift has not signed; the list is as of",
                "草稿：交班方尚未签字，清单截至",
            );
            let at = self.time(self.record.as_of);
            let _ = writeln!(html, "<p class=\"draft\">{words} {at}</p>");
        }
    }

    fn about(&self, html: &mut String) {
        let shift = self.record.shift;
        let mut rows = vec![
            (self.words("Dispatch centre", "派工中心"), self.centre()),
            (self.words("Shift", "班次"), self.period(shift)),
        ];
        if let Some(pattern) = self.record.pattern {
            rows.push((self.words("Pattern", "班次安排"), self.either(&pattern.en, &pattern.zh)));
        }
        let members: Vec<&str> = shift.members.iter().map(|member| &**member).collect();
        rows.push((self.words("Leader", "班长"), shift.leader.to_string()));
        rows.push((self.words("Members", "当班人员"), members.join(self.words(", ", "、"))));
        if let Some(due) = shift.list_due {
            rows.push((self.words("List due", "清单应提交时间"), self.time(due)));
        }
        if let Some(listed) = &shift.listed {
            rows.push((self.words("List submitted", "清单提交"), self.step(listed)));
        }
        if shift.missed.is_some() {
            let late = self.words("the list did not come in time", "清单逾期未提交");
            rows.push((self.words("Note", "备注"), late.to_owned()));
        }
        html.push_str("<dl>\n");
        for (label, text) in rows {
            let _ = writeln!(html, "<dt>{label}</dt><dd>{}</dd>", escape(&text));
        }
        html.push_str("</dl>\n");
    }

    fn list(&self, html: &mut String) {
        let title = self.words("Unfinished work orders", "未完成派工单");
        let count = match &self.record.shift.signed_out {
            Some((_, unfinished)) => unfinished.to_string(),
            None if self.record.cut => format!("{}+", self.record.lines.len()),
            None => self.record.lines.len().to_string(),
        };
        let _ = writeln!(html, "<h2>{title} ({count})</h2>");
        if self.record.lines.is_empty() {
            let _ = writeln!(html, "<p>{}</p>", self.words("None.", "无。"));
            return;
        }
        html.push_str("<table>\n<thead><tr>");
        for column in [
            self.words("Number", "编号"),
            self.words("Task", "任务"),
            self.words("State", "状态"),
            self.words("Assignee", "承办人"),
            self.words("Issued", "派单时间"),
            self.words("Reply by", "反馈时限"),
            self.words("Why it is not done", "未完成原因"),
        ] {
            let _ = write!(html, "<th>{column}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for line in self.record.lines {
            let reason = line
                .reason
                .as_ref()
                .map(|(reason, by, at)| format!("{reason}\n{by} {}", self.time(*at)));
            let cells = [
                line.number.clone(),
                line.task.clone(),
                self.state(line.state).to_owned(),
                line.assignee.clone().unwrap_or_default(),
                self.time(line.issued_at),
                self.time(line.reply_by),
                reason.unwrap_or_default(),
            ];
            html.push_str("<tr>");
            for cell in cells {
                let _ = write!(html, "<td>{}</td>", escape(&cell));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n");
        if self.record.cut {
            let words =
                self.words("There are more; only the oldest are shown.", "仅列出最早的部分。");
            let _ = writeln!(html, "<p>{words}</p>");
        }
    }

    fn signatures(&self, html: &mut String) {
        let shift = self.record.shift;
        let out = shift.signed_out.as_ref().map(|(step, _)| step);
        let signed_in = shift.signed_in.as_ref().map(|(_, step)| step);
        html.push_str("<div class=\"sign\">\n");
        self.signature(html, self.words("Outgoing shift", "交班方"), Some(shift), out);
        let incoming = self.record.incoming;
        self.signature(html, self.words("Incoming shift", "接班方"), incoming, signed_in);
        html.push_str("</div>\n");
    }

    /// Who signed and when, or a line to sign on.
    fn signature(
        &self,
        html: &mut String,
        whose: &str,
        shift: Option<&Shift>,
        step: Option<&StepTaken>,
    ) {
        let period = shift.map(|shift| escape(&self.period(shift))).unwrap_or_default();
        let _ = write!(html, "<div><b>{whose}</b> {period}<br>");
        let (name, at) = (self.words("Signed by", "签字人"), self.words("Time", "时间"));
        let _ = match step {
            Some(step) => {
                let by = escape(&step.by);
                writeln!(html, "{name}: {by}<br>{at}: {}</div>", self.time(step.at))
            }
            None => writeln!(html, "{name}:<span class=\"line\"></span>{at}:</div>"),
        };
    }

    fn centre(&self) -> String {
        let path = &self.record.shift.centre;
        let title = self.record.title.map(|(en, zh)| self.either(en, zh));
        match title.filter(|title| !title.is_empty()) {
            Some(title) => format!("{title} ({path})"),
            None => path.clone(),
        }
    }

    /// In the other language where this one is missing.
    fn either(&self, english: &str, chinese: &str) -> String {
        let (first, second) = match self.language {
            Language::English => (english, chinese),
            Language::Chinese => (chinese, english),
        };
        if first.is_empty() { second.to_owned() } else { first.to_owned() }
    }

    fn period(&self, shift: &Shift) -> String {
        format!("{} – {}", self.time(shift.starts), self.time(shift.ends))
    }

    fn state(&self, state: OrderStateName) -> &'static str {
        match state {
            OrderStateName::Issued => self.words("not accepted", "未接单"),
            _ => self.words("in work", "办理中"),
        }
    }

    fn step(&self, step: &StepTaken) -> String {
        format!("{} {}", step.by, self.time(step.at))
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}
