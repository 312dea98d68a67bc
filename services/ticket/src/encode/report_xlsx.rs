//! A report as a workbook, one sheet per section. Nothing in it is a formula: text is written as text, whatever it begins
//! with, and so are the figures as figures.

use jiff::tz::TimeZone;
use rust_xlsxwriter::{
    Chart, ChartType, DocProperties, Format, FormatBorder, Workbook, Worksheet, XlsxError,
};

use super::report_document::{Cell, Document, Section};

/// The longest text of a cell here, in characters; a cell takes 32,767.
const MAX_TEXT: usize = 2_000;
/// Rows of a chart that can still be told apart.
const MAX_BARS: u32 = 20;
const A4: u8 = 9;
const SECONDS_A_DAY: f64 = 86_400.0;

/// The file.
///
/// # Errors
/// If a section breaks the rules of workbooks, e.g. two of one name.
pub fn render(document: &Document) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let made = document.made.to_zoned(TimeZone::UTC).datetime();
    // Of the report's own clock: the same report is the same file.
    book.set_properties(
        &DocProperties::new().set_title(text(&document.title)).set_creation_datetime(&made),
    );
    for (place, section) in document.sections.iter().enumerate() {
        let sheet = book.add_worksheet();
        sheet.set_name(section.title)?.set_paper_size(A4).set_landscape();
        sheet.set_print_fit_to_pages(1, 0).set_footer("&L&A&R&P / &N");
        let first = if place == 0 { head(sheet, document)? } else { 0 };
        write(sheet, section, first)?;
    }
    book.save_to_buffer()
}

/// What the document is about, above the first table; the row after it.
fn head(sheet: &mut Worksheet, document: &Document) -> Result<u32, XlsxError> {
    let title = Format::new().set_bold().set_font_size(14);
    sheet.write_string_with_format(0, 0, text(&document.title), &title)?;
    let mut row = 1;
    for (label, value) in &document.about {
        sheet.write_string_with_format(row, 0, *label, &Format::new().set_bold())?;
        sheet.write_string(row, 1, text(value))?;
        row += 1;
    }
    Ok(row + 1)
}

fn write(sheet: &mut Worksheet, section: &Section, first: u32) -> Result<(), XlsxError> {
    let heading = Format::new().set_bold().set_border(FormatBorder::Thin).set_text_wrap();
    let mut row = first;
    if !section.note.is_empty() {
        sheet.write_string(row, 0, text(&section.note))?;
        row += 1;
    }
    for (column, title) in (0_u16..).zip(&section.columns) {
        sheet.write_string_with_format(row, column, *title, &heading)?;
        let texts =
            section.rows.iter().any(|row| row.get(usize::from(column)).is_some_and(Cell::is_text));
        sheet.set_column_width(column, if column == 0 || texts { 32 } else { 14 })?;
    }
    if first == 0 {
        sheet.set_freeze_panes(row + 1, 0)?;
    }
    sheet.set_repeat_rows(row, row)?;
    let top = row + 1;
    for cells in &section.rows {
        row += 1;
        for (column, cell) in (0_u16..).zip(cells) {
            write_cell(sheet, row, column, cell)?;
        }
    }
    if section.pareto && row >= top {
        let last = row.min(top + MAX_BARS - 1);
        sheet.insert_chart(row + 2, 0, &chart(section, top, last))?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts of tickets are far below 2^52")]
fn write_cell(sheet: &mut Worksheet, row: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
    let (number, format) = match cell {
        Cell::None => return Ok(()),
        Cell::Text(value) => {
            sheet.write_string(row, column, text(value))?;
            return Ok(());
        }
        // A negative time is an error in a cell, so a change of times is told in text.
        Cell::TimeChange(_) => {
            sheet.write_string(row, column, cell.shown())?;
            return Ok(());
        }
        Cell::Count(count) => (*count as f64, "#,##0"),
        Cell::Change(change) => (*change as f64, "+#,##0;-#,##0;0"),
        Cell::Share(share) => (*share, "0.0%"),
        Cell::ShareChange(share) => (*share, "+0.0%;-0.0%;0.0%"),
        Cell::Mean(mean) => (*mean, "0.00"),
        Cell::MeanChange(mean) => (*mean, "+0.00;-0.00;0.00"),
        Cell::Time(seconds) => (seconds / SECONDS_A_DAY, "[h]:mm"),
    };
    sheet.write_number_with_format(row, column, number, &Format::new().set_num_format(format))?;
    Ok(())
}

/// Bars of the counts and the line of what they add up to.
fn chart(section: &Section, top: u32, last: u32) -> Chart {
    let labels = (section.title, top, 0, last, 0);
    let mut line = Chart::new(ChartType::Line);
    line.add_series()
        .set_name(section.columns.get(3).copied().unwrap_or_default())
        .set_categories(labels)
        .set_values((section.title, top, 3, last, 3))
        .set_secondary_axis(true);
    line.y2_axis().set_num_format("0%").set_max(1);
    let mut bars = Chart::new(ChartType::Column);
    bars.add_series()
        .set_name(section.columns.get(1).copied().unwrap_or_default())
        .set_categories(labels)
        .set_values((section.title, top, 1, last, 1));
    bars.combine(&line);
    bars.title().set_name(section.title);
    bars
}

/// What a cell can hold: no longer than it may be, and nothing that XML has no letter for.
fn text(value: &str) -> String {
    let sound = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    value.chars().filter(sound).take(MAX_TEXT).collect()
}
