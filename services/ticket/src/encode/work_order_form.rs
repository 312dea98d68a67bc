//! A work order on paper (T-16): the dispatch part (派工联) for whoever does it, the return part (回执联) for the dispatch
//! centre, in English or Chinese. One HTML document that needs nothing from elsewhere: no script, no picture, no font.
//!
//! Everything that is not written here goes through [`escape`], so that whatever people wrote is shown and never obeyed.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kefu_rpc::Language;

use crate::domain::{DisputeOutcome, OrderState, OrderStateName, Signature, StepTaken, WorkOrder};

const STYLE: &str = "@page{size:A4;margin:14mm}*{box-sizing:border-box}\
body{font:11pt/1.45 \"Noto Sans\",\"Noto Sans CJK SC\",\"PingFang SC\",\"Microsoft YaHei\",sans-serif;color:#000;\
margin:0 auto;max-width:182mm}section{break-inside:avoid;padding:4mm 0}h1{font-size:15pt;margin:0 0 2mm}\
h2{font-size:10pt;font-weight:normal;margin:0 0 3mm}table{border-collapse:collapse;width:100%;table-layout:fixed}\
th,td{border:.3mm solid #000;padding:1.5mm 2mm;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{width:34mm;font-weight:bold}td{white-space:pre-wrap}.cut{border-top:.3mm dashed #000;text-align:center;font-size:9pt}\
.blank{height:14mm}.void{border:1mm double #000;padding:2mm;font-weight:bold}";

/// The page, with times in `zone` to the minute.
#[must_use]
pub fn render(order: &WorkOrder, language: Language, zone: &TimeZone) -> String {
    let page = Page { order, language, zone };
    let title = page.words("Work order", "派工单");
    let lang = page.words("en", "zh-CN");
    let mut html = String::with_capacity(8 * 1024);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title} {number}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        number = escape(&order.number),
    );
    page.part(&mut html, page.words("Dispatch part", "派工联"), &page.dispatch_rows());
    let _ = writeln!(html, "<p class=\"cut\">{}</p>", page.words("cut here", "沿此线裁开"));
    page.part(&mut html, page.words("Return part", "回执联"), &page.return_rows());
    html.push_str("</body>\n</html>\n");
    html
}

/// Text as HTML shows it, in content and in quoted attributes alike.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A label of ours and a text of whoever; none leaves room to write by hand.
type Row = (&'static str, Option<String>);

struct Page<'a> {
    order: &'a WorkOrder,
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

    fn part(&self, html: &mut String, part: &str, rows: &[Row]) {
        let title = self.words("Work order", "派工单");
        let number = escape(&self.order.number);
        let _ = writeln!(html, "<section>\n<h1>{title} {number}</h1>\n<h2>{part}</h2>");
        if let OrderState::Voided { reason, voided, .. } = &self.order.state {
            let word = self.words("VOID", "已作废");
            let (reason, by) = (escape(reason), escape(&self.step(voided)));
            let _ = writeln!(html, "<p class=\"void\">{word}: {reason} ({by})</p>");
        }
        html.push_str("<table>\n");
        for (label, text) in rows {
            let _ = match text {
                Some(text) => writeln!(html, "<tr><th>{label}</th><td>{}</td></tr>", escape(text)),
                None => writeln!(html, "<tr><th>{label}</th><td class=\"blank\"></td></tr>"),
            };
        }
        html.push_str("</table>\n</section>\n");
    }

    fn dispatch_rows(&self) -> Vec<Row> {
        let order = self.order;
        let brief = &order.brief;
        let mut rows = vec![
            (self.words("Dispatch centre", "调度中心"), Some(brief.dispatch_centre.clone())),
            (self.words("Dispatcher", "派单人"), Some(order.dispatcher.to_string())),
            (self.words("Issued", "派单时间"), Some(self.time(order.issued_at))),
        ];
        if let Some(ticket) = brief.ticket {
            rows.push((self.words("Ticket", "工单"), Some(super::ticket::name(ticket))));
        }
        let assignee = order.assignee.as_ref().map(ToString::to_string);
        if let Some(team) = &brief.team {
            rows.push((self.words("Team", "承办班组"), Some(team.clone())));
        }
        rows.push((self.words("Assignee", "承办人"), assignee));
        if !brief.place.is_empty() {
            rows.push((self.words("Place", "地点"), Some(brief.place.clone())));
        }
        rows.extend([
            (self.words("Task", "任务"), Some(brief.task.clone())),
            (self.words("Requirements", "要求"), Some(brief.requirements.clone())),
            (self.words("Reply by", "反馈时限"), Some(self.time(brief.reply_by))),
            (
                self.words("Accepted", "接单时间"),
                order.state.accepted().map(|accepted| self.step(accepted)),
            ),
        ]);
        rows
    }

    fn return_rows(&self) -> Vec<Row> {
        let state = &self.order.state;
        let (done, signed) = (state.done(), state.signed_off());
        let mut rows = vec![(self.words("State", "状态"), Some(self.state().to_owned()))];
        for progress in &self.order.progress {
            let text = format!("{}\n{}", progress.note, self.step(&progress.reported));
            rows.push((self.words("Progress", "进度反馈"), Some(text)));
        }
        for dispute in &self.order.disputes {
            let mut text = format!("{}\n{}", dispute.reason, self.step(&dispute.disputed));
            if let Some(decision) = &dispute.decision {
                let outcome = match decision.outcome {
                    DisputeOutcome::Stands => self.words("The order stands", "维持派单"),
                    DisputeOutcome::Withdrawn => self.words("The order is withdrawn", "撤销派单"),
                };
                let decided = self.step(&decision.decided);
                // Writing to a string cannot fail.
                let _ = write!(text, "\n{outcome}: {}\n{decided}", decision.text);
            }
            rows.push((self.words("Objection", "申诉"), Some(text)));
        }
        let signature = signed.map(|signed| match &signed.signature {
            Signature::Image(image) => format!("{}: {image}", self.words("image", "签字图像")),
            Signature::Code(code) => format!("{}: {code}", self.words("code", "确认码")),
        });
        rows.extend([
            (
                self.words("Result", "办理结果"),
                done.map(|done| format!("{}\n{}", done.result, self.step(&done.done))),
            ),
            (
                self.words("Customer's name", "客户姓名"),
                signed.map(|signed| signed.customer.clone()),
            ),
            (self.words("Signature", "客户签字"), signature),
            (self.words("Signed", "签字时间"), signed.map(|signed| self.time(signed.signed_at))),
            (
                self.words("Call-back", "回访"),
                state
                    .called_back()
                    .map(|back| format!("{}\n{}", back.comment, self.step(&back.called))),
            ),
        ]);
        rows
    }

    fn state(&self) -> &'static str {
        let (english, chinese) = match self.order.state.name() {
            OrderStateName::Issued => ("issued", "已派发"),
            OrderStateName::Accepted => ("accepted", "已接单"),
            OrderStateName::Done => ("done", "已完成"),
            OrderStateName::SignedOff => ("signed off", "客户已签字"),
            OrderStateName::CalledBack => ("called back", "已回访"),
            OrderStateName::Archived => ("archived", "已归档"),
            OrderStateName::Voided => ("voided", "已作废"),
        };
        self.words(english, chinese)
    }

    fn step(&self, step: &StepTaken) -> String {
        format!("{} {}", step.by, self.time(step.at))
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::escape;

    /// What a browser makes of it again.
    fn unescape(html: &str) -> String {
        html.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn t16_no_text_leaves_its_cell_and_every_text_is_shown_as_it_was_written(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            for (at, _) in escaped.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                prop_assert!(known.iter().any(|entity| escaped[at..].starts_with(entity)));
            }
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn t16_hostile_markup_is_text(before in ".{0,5}", tag in "</?[a-z]{1,8}( on[a-z]+=[\"'].{0,9}[\"'])?>") {
            let escaped = escape(&format!("{before}{tag}"));
            prop_assert!(!escaped.contains('<'));
        }
    }
}
