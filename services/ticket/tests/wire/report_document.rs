//! T-20: the report as a document.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::world::{Desk, World, complaint, violations};

const HOSTILE: &str = "</td><script>alert(1)</script>";

async fn render(
    desk: &mut Desk,
    format: pb::ReportFormat,
    language: &str,
) -> pb::RenderComplaintReportResponse {
    let report = pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
    let request = pb::RenderComplaintReportRequest {
        report: Some(report),
        format: format.into(),
        language_code: language.into(),
    };
    desk.reports.render_complaint_report(request).await.unwrap().into_inner()
}

async fn html(desk: &mut Desk, language: &str) -> String {
    let document = render(desk, pb::ReportFormat::Html, language).await;
    assert_eq!(document.content_type, "text/html; charset=utf-8");
    assert_eq!(document.file_name, "complaints-group-2026-W10.html");
    String::from_utf8(document.content).unwrap()
}

fn sheets(content: Vec<u8>) -> Xlsx<Cursor<Vec<u8>>> {
    Xlsx::new(Cursor::new(content)).unwrap()
}

fn cells(book: &mut Xlsx<Cursor<Vec<u8>>>, sheet: &str) -> Vec<Vec<Data>> {
    let range = book.worksheet_range(sheet).unwrap();
    range.rows().map(<[Data]>::to_vec).collect()
}

/// Two complaints a week ago and three now, of one customer, about whatever people write.
async fn world() -> World {
    let world = World::new().await;
    let customer = world.customer(1).await;
    world.settle().await;
    let mut clerk = world.clerk();
    let texts = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", HOSTILE];
    let ticket = |text: &str| pb::Ticket {
        customer: customer.clone(),
        category: text.into(),
        product: text.into(),
        shop: text.into(),
        ..complaint("group/north", text)
    };
    for text in &texts[..2] {
        clerk.create(ticket(text)).await;
    }
    world.pass_hours(7 * 24).await;
    for text in texts {
        clerk.create(ticket(text)).await;
    }
    world
}

#[tokio::test]
async fn t20_the_page_prints_in_english_and_in_chinese_and_shows_what_people_wrote() {
    let world = world().await;
    let mut clerk = world.clerk();
    let report = pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
    let request = |language: &str| pb::RenderComplaintReportRequest {
        report: Some(report.clone()),
        format: pb::ReportFormat::Html.into(),
        language_code: language.into(),
    };
    let mut pages = Vec::new();
    for language in ["en-GB", "zh-CN"] {
        let document = clerk.reports.render_complaint_report(request(language)).await.unwrap();
        let document = document.into_inner();
        assert_eq!(document.content_type, "text/html; charset=utf-8");
        assert_eq!(document.file_name, "complaints-group-2026-W11.html");
        assert!(document.content.len() < 100_000);
        pages.push(String::from_utf8(document.content).unwrap());
    }
    let [english, chinese] = &pages[..] else { panic!("two pages") };
    for words in [
        "<html lang=\"en\">",
        "Complaint report",
        "2026-W11",
        "Asia/Shanghai",
        "First response, median",
        "Repeat complaints",
        "Open by age",
        "1 to 3 days",
        "@page{size:A4",
    ] {
        assert!(english.contains(words), "{words}");
    }
    for words in [
        "<html lang=\"zh-CN\">",
        "投诉统计报告",
        "单元 (group)",
        "未结账龄",
        "7 至 14 天",
        "去年同期",
    ] {
        assert!(chinese.contains(words), "{words}");
    }
    assert!(!chinese.contains("Complaint report"), "one language at a time");
    for page in &pages {
        assert!(!page.contains("<script"), "hostile text is text");
        assert!(page.contains("&lt;script&gt;alert(1)"));
        assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
        assert!(page.contains(">=1+1<"));
    }
}

#[tokio::test]
async fn t20_the_workbook_has_a_sheet_per_section_and_no_formula() {
    let world = world().await;
    let mut clerk = world.clerk();
    let document = render(&mut clerk, pb::ReportFormat::Xlsx, "zh").await;
    assert_eq!(document.file_name, "complaints-group-2026-W11.xlsx");
    assert!(document.content_type.ends_with("spreadsheetml.sheet"));
    assert!(document.content.len() < 100_000);
    let again = render(&mut clerk, pb::ReportFormat::Xlsx, "zh").await;
    assert_eq!(again.content, document.content, "the same report is the same file");
    let mut book = sheets(document.content);
    let names = book.sheet_names();
    let expected = ["概要", "投诉类别", "产品", "门店", "时限达标", "未结账龄", "重复投诉"];
    for name in expected {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        assert!(book.worksheet_formula(name).unwrap().is_empty(), "no formula in {name}");
    }
    let summary = cells(&mut book, "概要");
    let received = summary.iter().find(|row| row[0] == Data::String("受理".into())).unwrap();
    assert_eq!(received[1], Data::Float(5.0));
    assert_eq!((&received[2], &received[3]), (&Data::Float(2.0), &Data::Float(3.0)));
    assert_eq!(received[4], Data::Empty, "nothing was there a year ago");
    for sheet in ["投诉类别", "产品", "门店"] {
        let labels = cells(&mut book, sheet);
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", HOSTILE] {
            let row = labels.iter().find(|row| row[0] == Data::String(text.into()));
            assert_eq!(row.unwrap()[1], Data::Float(1.0), "{text} in {sheet}");
        }
    }
    // Two repeat those of a week ago: the same product.
    let repeats = cells(&mut book, "重复投诉");
    let subjects: Vec<_> = repeats.iter().skip(2).map(|row| row[6].to_string()).collect();
    assert_eq!(subjects, ["=1+1", "+cmd|' /C calc'!A0"]);
    let english = render(&mut clerk, pb::ReportFormat::Xlsx, "en").await;
    assert!(sheets(english.content).sheet_names().contains(&"Open by age".to_owned()));
}

#[tokio::test]
async fn t20_a_document_names_every_wrong_field_and_is_for_those_who_may_read() {
    let world = World::new().await;
    let request = pb::RenderComplaintReportRequest {
        report: Some(pb::GetComplaintReportRequest {
            org_unit: "Group!".into(),
            week: "2026-W54".into(),
            top: 201,
            ..Default::default()
        }),
        format: 0,
        language_code: "tlh".into(),
    };
    let mut clerk = world.clerk();
    let error = clerk.reports.render_complaint_report(request.clone()).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    assert_eq!(found, ["format", "language_code", "report.org_unit", "report.top", "report.week"]);
    let missing = pb::RenderComplaintReportRequest { report: None, ..request };
    let error = clerk.reports.render_complaint_report(missing).await.unwrap_err();
    assert!(violations(&error).contains(&"report".to_owned()));
    let mut south = world.desk("nan", "group/south", role::MANAGER);
    let request = pb::RenderComplaintReportRequest {
        report: Some(pb::GetComplaintReportRequest {
            org_unit: "group/north".into(),
            ..Default::default()
        }),
        format: pb::ReportFormat::Html.into(),
        language_code: String::new(),
    };
    let error = south.reports.render_complaint_report(request).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    // Nothing at all is a document, too.
    assert!(html(&mut clerk, "").await.contains("Complaint report"));
}
