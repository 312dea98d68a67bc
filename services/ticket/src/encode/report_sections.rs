//! What a report's document says, in English or Chinese (T-20): one table per section, each figure beside that of the week
//! before and the year before.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ReportMetric as Metric;
use kefu_rpc::{Language, timestamp};

use super::report::moment;
use super::report_compare::{METRICS, figure};
use super::report_document::{Cell, Document, Names, Section};
use super::report_words::{Words, cause_name, channel_name, clock_name, metric_name};

/// So many org units are told apart: a document is read by people.
const MAX_UNITS: usize = 300;
pub(super) const MINUTE: &str = "%Y-%m-%d %H:%M";

/// The org units that are named, to look up what they are called.
pub(crate) fn org_units(report: &pb::ComplaintReport) -> Vec<String> {
    let units = report.org_units.iter().map(|unit| unit.org_unit.clone());
    let oldest = report.open.iter().flat_map(|open| &open.oldest);
    let repeated = report.repeats.iter().flat_map(|repeats| &repeats.top).flat_map(|c| &c.tickets);
    let tickets = oldest.chain(repeated).map(|ticket| ticket.org_unit.clone());
    let mut all: Vec<String> =
        std::iter::once(report.org_unit.clone()).chain(units).chain(tickets).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The report as tables.
pub(crate) fn document(report: &pb::ComplaintReport, names: &Names<'_>) -> Document {
    let page = Page { report, names };
    let time = |at: &Option<prost_types::Timestamp>| moment(at.as_ref(), names.zone, MINUTE);
    let words = |english, chinese| names.words(english, chinese);
    let unit = names.org_unit(&report.org_unit);
    let period = format!("{} – {}", time(&report.start_time), time(&report.end_time));
    let mut about = vec![(words("Org unit", "组织单元"), unit)];
    if !report.iso_week.is_empty() {
        about.push((words("Week", "周"), report.iso_week.clone()));
    }
    about.extend([
        (words("Period", "统计期间"), period),
        (words("Time zone", "时区"), report.time_zone.clone()),
        (words("As of", "截至"), time(&report.as_of_time)),
        (words("Drawn up", "制表时间"), time(&report.report_time)),
    ]);
    let sections = vec![
        page.summary(),
        page.backlog(),
        page.pareto(("Categories", "投诉类别"), |report| report.categories.as_ref()),
        page.category_tree(),
        page.pareto(("Products", "产品"), |report| report.products.as_ref()),
        page.pareto(("Shops", "门店"), |report| report.shops.as_ref()),
        page.org_units(),
        page.severities(),
        page.channels(),
        page.clocks(),
        page.verdicts(),
        page.ages(),
        page.oldest(),
        page.repeats(),
        page.escalations(),
        page.violations(),
        page.causes(),
        page.causes_found(),
        page.suggestions(),
        page.suggestions_moved(),
        page.suggestions_waiting(),
    ];
    Document {
        lang: words("en", "zh-CN"),
        title: words("Complaint report", "投诉统计报告").to_owned(),
        about,
        made: report.report_time.as_ref().and_then(|at| timestamp(at).ok()).unwrap_or_default(),
        sections,
    }
}

/// A report that is being told.
pub(super) struct Page<'a> {
    pub(super) report: &'a pb::ComplaintReport,
    pub(super) names: &'a Names<'a>,
}

impl<'a> Page<'a> {
    pub(super) fn words(&self, (english, chinese): Words) -> &'static str {
        self.names.words(english, chinese)
    }

    pub(super) fn section(&self, title: Words, columns: &[Words], rows: Vec<Vec<Cell>>) -> Section {
        Section {
            title: self.words(title),
            note: String::new(),
            columns: columns.iter().map(|words| self.words(*words)).collect(),
            rows,
            pareto: false,
        }
    }

    fn earlier(&self) -> [Option<&'a pb::ComplaintReport>; 2] {
        let Self { report, .. } = *self;
        [&report.week_before, &report.year_before]
            .map(|comparison| comparison.as_deref()?.report.as_deref())
    }

    /// A count with those of the week before and the year before; one that a cut list does not tell is no 0.
    fn counts(
        &self,
        now: i64,
        then: impl Fn(&'a pb::ComplaintReport) -> Option<i64>,
    ) -> impl Iterator<Item = Cell> {
        let [week, year] =
            self.earlier().map(|then_is| then_is.and_then(&then).map_or(Cell::None, Cell::Count));
        [Cell::Count(now), week, year].into_iter()
    }

    pub(super) fn row(
        &self,
        label: String,
        now: i64,
        then: impl Fn(&'a pb::ComplaintReport) -> Option<i64>,
    ) -> Vec<Cell> {
        std::iter::once(Cell::Text(label)).chain(self.counts(now, then)).collect()
    }

    fn summary(&self) -> Section {
        let [week, year] = self.earlier();
        let rows = METRICS.map(|metric| {
            let now = figure(self.report, metric);
            let mut row = vec![Cell::Text(self.words(metric_name(metric)).to_owned())];
            row.push(cell(metric, now));
            for then in [week, year] {
                let then = then.and_then(|then| figure(then, metric));
                row.push(cell(metric, then));
                row.push(change(metric, now, then));
            }
            row
        });
        let columns = [
            ("Figure", "指标"),
            ("This period", "本期"),
            ("Week before", "上周"),
            ("Change", "增减"),
            ("Year before", "去年同期"),
            ("Change to the year before", "同比增减"),
        ];
        let mut section = self.section(("Summary", "概要"), &columns, rows.into());
        section.note = self.words((
            "Tickets are counted by when they were registered. Times are hours:minutes. The week before and the year \
             before (52 weeks) are told as of the same weekday and hour. “–”: there is none.",
            "按登记时间统计。时长格式为小时:分钟。上周及去年同期（52 周前）均截至相同的星期与时刻。“–”表示无数据。",
        )).to_owned();
        section
    }

    fn backlog(&self) -> Section {
        let backlog = |report: &pb::ComplaintReport| report.backlog.unwrap_or_default();
        type Figure = fn(&pb::Backlog) -> i64;
        let of: [(Words, Figure); 6] = [
            (("Open at the start", "期初未结"), |b| b.open_at_start),
            (("Received", "受理"), |b| b.received),
            (("Closed", "关闭"), |b| b.closed),
            (("Cancelled", "取消"), |b| b.cancelled),
            (("Moved here, less moved away and merged", "移入减移出及合并"), |b| {
                b.other_changes
            }),
            (("Open at the end", "期末未结"), |b| b.open_at_end),
        ];
        let rows = of.map(|(words, of)| {
            let now = of(&backlog(self.report));
            self.row(self.words(words).to_owned(), now, |then| Some(of(&backlog(then))))
        });
        self.section(("Backlog", "未结变动"), &self.columns(("Movement", "变动")), rows.into())
    }

    pub(super) fn columns(&self, first: Words) -> [Words; 4] {
        [first, ("This period", "本期"), ("Week before", "上周"), ("Year before", "去年同期")]
    }

    fn pareto(
        &self,
        title: Words,
        of: impl Fn(&'a pb::ComplaintReport) -> Option<&'a pb::Pareto>,
    ) -> Section {
        self.pareto_of(title, of, |label| self.label(label))
    }

    /// Each label as `name` says it.
    pub(super) fn pareto_of(
        &self,
        title: Words,
        of: impl Fn(&'a pb::ComplaintReport) -> Option<&'a pb::Pareto>,
        name: impl Fn(&str) -> String,
    ) -> Section {
        let pareto = of(self.report);
        let mut rows = Vec::new();
        for entry in pareto.iter().flat_map(|pareto| &pareto.entries) {
            let mut row = vec![
                Cell::Text(name(&entry.label)),
                Cell::Count(entry.count),
                Cell::Share(entry.share),
                Cell::Share(entry.cumulative_share),
            ];
            let then = |report| of(report).and_then(|then| count_of(then, &entry.label));
            row.extend(self.counts(entry.count, then).skip(1));
            rows.push(row);
        }
        if let Some(pareto) = pareto.filter(|pareto| pareto.others > 0) {
            rows.push(vec![
                Cell::Text(self.words(("Others", "其他")).to_owned()),
                Cell::Count(pareto.others),
                Cell::Share(crate::domain::ratio(pareto.others, pareto.total)),
                Cell::Share(1.0),
                Cell::None,
                Cell::None,
            ]);
        }
        let columns = [
            title,
            ("Count", "件数"),
            ("Share", "占比"),
            ("Cumulative", "累计占比"),
            ("Week before", "上周"),
            ("Year before", "去年同期"),
        ];
        Section { pareto: true, ..self.section(title, &columns, rows) }
    }

    fn label(&self, label: &str) -> String {
        match label {
            "" => self.words(("(none)", "（未填写）")).to_owned(),
            label => label.to_owned(),
        }
    }

    fn category_tree(&self) -> Section {
        let nodes = &self.report.category_tree;
        let rows = nodes.iter().map(|node| {
            let depth = node.category.matches('/').count();
            let indented = format!("{}{}", "\u{3000}".repeat(depth), node.category);
            vec![Cell::Text(indented), Cell::Count(node.count), Cell::Count(node.own_count)]
        });
        let columns = [("Category", "类别"), ("With those below", "含下级"), ("Itself", "本级")];
        self.section(("Category tree", "类别树"), &columns, rows.collect())
    }

    /// Those with the most tickets where there are very many, in the order of the tree; the rest in one line.
    fn org_units(&self) -> Section {
        let mut units: Vec<&pb::OrgUnitCount> = self.report.org_units.iter().collect();
        units.sort_by_key(|unit| std::cmp::Reverse(unit.count));
        let others = units.split_off(units.len().min(MAX_UNITS));
        units.sort_by(|a, b| a.org_unit.cmp(&b.org_unit));
        let rows = units.into_iter().map(|unit| {
            let then = |then: &pb::ComplaintReport| {
                let found = then.org_units.iter().find(|other| other.org_unit == unit.org_unit);
                Some(found.map_or(0, |found| found.count))
            };
            self.row(self.names.org_unit(&unit.org_unit), unit.count, then)
        });
        let mut rows: Vec<_> = rows.collect();
        if !others.is_empty() {
            let count = others.iter().map(|unit| unit.count).sum();
            rows.push(self.row(self.words(("Others", "其他")).to_owned(), count, |_| None));
        }
        let columns = self.columns(("Org unit", "组织单元"));
        self.section(("Org units", "组织单元"), &columns, rows)
    }

    fn severities(&self) -> Section {
        let names =
            [("1 ordinary", "1 一般"), ("2 serious", "2 严重"), ("3 very serious", "3 特别严重")];
        let of = |report: &pb::ComplaintReport, severity: i32| {
            let found = report.severities.iter().find(|found| found.severity == severity);
            found.map_or(0, |found| found.count)
        };
        let rows = (1..).zip(names).map(|(severity, name)| {
            let now = of(self.report, severity);
            self.row(self.words(name).to_owned(), now, |then| Some(of(then, severity)))
        });
        let columns = self.columns(("Severity", "投诉级别"));
        self.section(("Severity", "投诉级别"), &columns, rows.collect())
    }

    fn channels(&self) -> Section {
        let of = |report: &pb::ComplaintReport, channel: i32| {
            let found = report.channels.iter().find(|found| found.channel == channel);
            found.map_or(0, |found| found.count)
        };
        let rows = self.report.channels.iter().map(|found| {
            let name = self.words(channel_name(found.channel())).to_owned();
            self.row(name, found.count, |then| Some(of(then, found.channel)))
        });
        let columns = self.columns(("Channel", "渠道"));
        self.section(("Channels", "受理渠道"), &columns, rows.collect())
    }

    fn clocks(&self) -> Section {
        let rows = self.report.compliance.iter().map(|rule| {
            let share = |rate: Option<f64>| rate.map_or(Cell::None, Cell::Share);
            let [week, year] = self.earlier().map(|then| {
                let then = then?.compliance.iter().find(|other| other.rule == rule.rule)?;
                then.rate
            });
            vec![
                Cell::Text(rule.rule.clone()),
                Cell::Text(self.words(clock_name(rule.kind())).to_owned()),
                Cell::Count(rule.met),
                Cell::Count(rule.breached),
                Cell::Count(rule.announced),
                Cell::Count(rule.running),
                share(rule.rate),
                share(week),
                share(year),
            ]
        });
        let columns = [
            ("Rule", "规则"),
            ("Promise", "时限"),
            ("Kept", "按时"),
            ("Broken", "超时"),
            ("Of these announced", "其中已预告"),
            ("Running", "进行中"),
            ("Compliance", "达标率"),
            ("Week before", "上周"),
            ("Year before", "去年同期"),
        ];
        self.section(("Promises", "时限达标"), &columns, rows.collect())
    }

    fn verdicts(&self) -> Section {
        let rows = self.report.verdicts.iter().map(|verdict| {
            let label = self.names.policy.and_then(|policy| policy.verdict(verdict.value));
            let label = label.map(|(_, option)| self.names.text(&option.label));
            let then = |then: &pb::ComplaintReport| {
                let found = then.verdicts.iter().find(|other| other.value == verdict.value);
                Some(found.map_or(0, |found| found.count))
            };
            let mut row =
                vec![Cell::Text(verdict.value.to_string()), Cell::Text(label.unwrap_or_default())];
            row.extend(self.counts(verdict.count, then));
            row.push(Cell::Count(verdict.closing));
            row
        });
        let columns = [
            ("Verdict", "评价"),
            ("Meaning", "含义"),
            ("This period", "本期"),
            ("Week before", "上周"),
            ("Year before", "去年同期"),
            ("Closed the ticket", "据此关闭"),
        ];
        self.section(("Verdicts", "满意度评价"), &columns, rows.collect())
    }

    fn ages(&self) -> Section {
        let of = |report: &pb::ComplaintReport, place: usize| {
            report.open.as_ref()?.buckets.get(place).map(|bucket| bucket.count)
        };
        let buckets = self.report.open.iter().flat_map(|open| &open.buckets).enumerate();
        let rows = buckets.map(|(place, bucket)| {
            let mut row = self.row(self.age(bucket), bucket.count, |then| of(then, place));
            row.push(Cell::Count(bucket.overdue));
            row
        });
        let [first, now, week, year] = self.columns(("Age", "未结时长"));
        let columns = [first, now, week, year, ("Of these overdue", "其中超时")];
        self.section(("Open by age", "未结账龄"), &columns, rows.collect())
    }

    fn age(&self, bucket: &pb::AgeBucket) -> String {
        let days = |duration: &Option<prost_types::Duration>| {
            duration.map_or(0, |duration| duration.seconds / 86_400)
        };
        let (from, to) = (days(&bucket.min_age), days(&bucket.max_age));
        match (self.names.language, bucket.max_age) {
            (Language::English, Some(_)) => format!("{from} to {to} days"),
            (Language::English, None) => format!("{from} days and more"),
            (Language::Chinese, Some(_)) => format!("{from} 至 {to} 天"),
            (Language::Chinese, None) => format!("{from} 天以上"),
        }
    }

    fn ticket(&self, ticket: &pb::ReportTicket) -> Vec<Cell> {
        vec![
            Cell::Text(ticket.number.clone()),
            Cell::Text(moment(ticket.create_time.as_ref(), self.names.zone, MINUTE)),
            Cell::Text(self.names.org_unit(&ticket.org_unit)),
            Cell::Count(ticket.severity.into()),
            Cell::Text(ticket.subject.clone()),
        ]
    }

    const TICKET: [Words; 5] = [
        ("Ticket", "工单"),
        ("Registered", "登记时间"),
        ("Org unit", "组织单元"),
        ("Severity", "级别"),
        ("Subject", "主题"),
    ];

    fn oldest(&self) -> Section {
        let oldest = self.report.open.iter().flat_map(|open| &open.oldest);
        let rows = oldest.map(|ticket| self.ticket(ticket)).collect();
        self.section(("Oldest open", "最久未结"), &Self::TICKET, rows)
    }

    fn repeats(&self) -> Section {
        let repeats = self.report.repeats.clone().unwrap_or_default();
        let mut rows = Vec::new();
        for customer in &repeats.top {
            for ticket in &customer.tickets {
                let mut row =
                    vec![Cell::Text(customer.customer.clone()), Cell::Count(customer.count)];
                row.extend(self.ticket(ticket));
                rows.push(row);
            }
        }
        let mut columns = vec![("Customer", "客户"), ("Repeats", "重复次数")];
        columns.extend(Self::TICKET);
        let mut section = self.section(("Repeat complaints", "重复投诉"), &columns, rows);
        let days = repeats.window.map_or(0, |window| window.seconds / 86_400);
        let (count, customers) = (repeats.count, repeats.customers);
        section.note = match self.names.language {
            Language::English => format!(
                "{count} repeats of {customers} customers: the same customer, the same product or main category, within \
                 {days} days."
            ),
            Language::Chinese => format!(
                "{customers} 位客户重复投诉 {count} 件：同一客户在 {days} 天内就同一产品或同一大类再次投诉。"
            ),
        };
        section
    }

    fn escalations(&self) -> Section {
        let rows = self.report.escalations.iter().map(|escalation| {
            let then = |then: &pb::ComplaintReport| {
                let found = then.escalations.iter().find(|other| other.cause == escalation.cause);
                Some(found.map_or(0, |found| found.count))
            };
            let name = self.words(cause_name(escalation.cause())).to_owned();
            self.row(name, escalation.count, then)
        });
        let columns = self.columns(("Cause", "原因"));
        self.section(("Escalations", "升级"), &columns, rows.collect())
    }

    fn violations(&self) -> Section {
        let rows = self.report.violations.iter().map(|violation| {
            let rule = self.names.policy.and_then(|policy| policy.violation(&violation.code));
            let rule = rule.map(|rule| self.names.text(&rule.description)).unwrap_or_default();
            let then = |then: &pb::ComplaintReport| {
                let found = then.violations.iter().find(|other| other.code == violation.code);
                Some(found.map_or(0, |found| found.count))
            };
            let mut row = vec![Cell::Text(violation.code.clone()), Cell::Text(rule)];
            row.extend(self.counts(violation.count, then));
            row
        });
        let columns = [
            ("Code", "代码"),
            ("Rule", "规定"),
            ("This period", "本期"),
            ("Week before", "上周"),
            ("Year before", "去年同期"),
        ];
        self.section(("Violations", "违规"), &columns, rows.collect())
    }
}

/// How often a label occurs; nobody knows if it may be among the others.
fn count_of(pareto: &pb::Pareto, label: &str) -> Option<i64> {
    let found = pareto.entries.iter().find(|entry| entry.label == label);
    found.map(|entry| entry.count).or((pareto.others == 0).then_some(0))
}

fn cell(metric: Metric, figure: Option<f64>) -> Cell {
    let Some(figure) = figure else { return Cell::None };
    match metric {
        Metric::FirstResponseMedian
        | Metric::FirstResponseP90
        | Metric::ResolutionMedian
        | Metric::ResolutionP90 => Cell::Time(figure),
        Metric::Compliance | Metric::SatisfiedShare => Cell::Share(figure),
        Metric::VerdictAverage => Cell::Mean(figure),
        _ => Cell::Count(whole(figure)),
    }
}

fn change(metric: Metric, now: Option<f64>, then: Option<f64>) -> Cell {
    let Some((now, then)) = now.zip(then) else { return Cell::None };
    match cell(metric, Some(now)) {
        Cell::Time(_) => Cell::TimeChange(now - then),
        Cell::Share(_) => Cell::ShareChange(now - then),
        Cell::Mean(_) => Cell::MeanChange(now - then),
        _ => Cell::Change(whole(now - then)),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it was a count of tickets before")]
fn whole(figure: f64) -> i64 {
    figure.round() as i64
}
