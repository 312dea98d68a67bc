//! A report as a page that prints on A4: one HTML document that needs nothing from elsewhere, no script, no picture, no
//! font. Everything that is not written here goes through [`escape`].

use std::fmt::Write as _;

use super::report_document::{Cell, Document, Section};
use super::work_order_form::escape;

const STYLE: &str = "@page{size:A4;margin:14mm}*{box-sizing:border-box}\
body{font:10pt/1.4 \"Noto Sans\",\"Noto Sans CJK SC\",\"PingFang SC\",\"Microsoft YaHei\",sans-serif;color:#000;\
margin:0 auto;max-width:182mm}h1{font-size:16pt;margin:0 0 3mm}h2{font-size:12pt;margin:6mm 0 1mm;break-after:avoid}\
p{margin:0 0 2mm;font-size:9pt}dl{display:grid;grid-template-columns:max-content 1fr;gap:0 4mm;margin:0 0 4mm}\
dt{font-weight:bold}dd{margin:0;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}\
thead{display:table-header-group}tr{break-inside:avoid}\
th,td{border:.2mm solid #888;padding:1mm 1.5mm;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#eee;print-color-adjust:exact;-webkit-print-color-adjust:exact}\
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.bar{display:block;height:1.2mm;background:#456;print-color-adjust:exact;-webkit-print-color-adjust:exact}";

/// The page.
#[must_use]
pub fn render(document: &Document) -> String {
    let mut html = String::with_capacity(64 * 1024);
    let title = escape(&document.title);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>\n",
        document.lang,
    );
    for (label, text) in &document.about {
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(label), escape(text));
    }
    html.push_str("</dl>\n");
    for section in &document.sections {
        table(&mut html, section);
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn table(html: &mut String, section: &Section) {
    let _ = writeln!(html, "<section>\n<h2>{}</h2>", escape(section.title));
    if !section.note.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", escape(&section.note));
    }
    html.push_str("<table>\n<thead><tr>");
    for column in &section.columns {
        let _ = write!(html, "<th>{}</th>", escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        html.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            let class = if cell.is_text() { "" } else { " class=\"n\"" };
            let _ = write!(html, "<td{class}>{}", escape(&cell.shown()));
            if section.pareto && place == 0 {
                bar(html, row.get(2));
            }
            html.push_str("</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</section>\n");
}

/// As long as the share.
fn bar(html: &mut String, share: Option<&Cell>) {
    if let Some(Cell::Share(share)) = share {
        let percent = (share * 100.0).clamp(0.0, 100.0);
        let _ = write!(html, "<i class=\"bar\" style=\"width:{percent:.1}%\"></i>");
    }
}
