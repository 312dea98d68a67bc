//! Standard wordings (标准话术): texts of the policy with variables that a ticket fills in (T-14).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    automation::Tongue,
    clock::ClockState,
    phrase::{ForbiddenPhrases, is_spaced_script},
    policy::Policy,
    policy_draft::MessageTemplateDraft,
    refusal::Refusal,
    ticket::{Complainant, Ticket},
    word::{ClockKind, Fault, Text, TicketKind, coded},
};

/// The most wordings that a policy can have.
pub(crate) const MAX_TEMPLATES: usize = 200;
/// The most variables in one text: bounds what a wording can grow to.
const MAX_VARIABLES: usize = 20;
/// The longest code of a situation.
const MAX_SITUATION: usize = 63;

coded! {
    /// What a wording can say of a ticket.
    Variable {
        /// Its number.
        TicketNumber = "ticket.number",
        /// The customer's words in short.
        TicketSubject = "ticket.subject",
        /// Complaint, inquiry, request or suggestion.
        TicketKind = "ticket.kind",
        /// Its category.
        TicketCategory = "ticket.category",
        /// The product concerned.
        TicketProduct = "ticket.product",
        /// The customer's order or contract concerned.
        TicketOrderReference = "ticket.order_reference",
        /// The shop concerned.
        TicketShop = "ticket.shop",
        /// What was done.
        TicketSolution = "ticket.solution",
        /// When it was registered.
        TicketCreateTime = "ticket.create_time",
        /// The customer's name; "customer" where nobody knows it.
        CustomerName = "customer.name",
        /// The next deadline of this cycle.
        DueTime = "due_time",
        /// The deadline of the first response.
        FirstResponseDueTime = "first_response.due_time",
        /// The deadline of the solution.
        ResolutionDueTime = "resolution.due_time",
        /// The deadline of telling the result.
        ResultFeedbackDueTime = "result_feedback.due_time",
        /// The deadline of the call-back.
        CallBackDueTime = "call_back.due_time",
    }
}

/// Which of the two languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    English,
    Chinese,
}

/// A wording that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate {
    /// What it is called.
    pub title: Text,
    english: Vec<Piece>,
    chinese: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Value(Variable),
}

/// Checks the wordings of a policy, by situation; paths begin with the index, `[3].text.zh`.
pub(super) fn check(
    drafts: Vec<MessageTemplateDraft>,
    phrases: &ForbiddenPhrases,
) -> Result<BTreeMap<String, MessageTemplate>, Vec<Fault>> {
    if drafts.len() > MAX_TEMPLATES {
        let has = drafts.len();
        let english = format!("must have at most {MAX_TEMPLATES} entries, has {has}");
        let words = (english, format!("最多 {MAX_TEMPLATES} 项，现有 {has} 项"));
        return Err(vec![Fault::new("", words)]);
    }
    let mut faults = Vec::new();
    let mut templates = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let mut add = |field: &str, fault: Fault| {
            faults.push(Fault { path: format!("[{index}].{field}"), ..fault });
        };
        let sound = (1..=MAX_SITUATION).contains(&draft.situation.len())
            && draft
                .situation
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !sound {
            let description = (
                "must be 1 to 63 lower-case letters, digits and '-'",
                "须为 1 至 63 个小写字母、数字或“-”",
            );
            add("situation", Fault::new("", description));
        }
        if draft.title == Text::default() {
            add(
                "title",
                Fault::new("", ("must have a text in English or Chinese", "须有英文或中文内容")),
            );
        }
        if draft.text.en.trim().is_empty() && draft.text.zh.trim().is_empty() {
            add(
                "text",
                Fault::new("", ("must have a text in English or Chinese", "须有英文或中文内容")),
            );
        }
        let mut language = |field: &str, text: &str| {
            let (pieces, wrong) = parse(text);
            wrong.into_iter().for_each(|fault| add(field, fault));
            for piece in &pieces {
                if let Piece::Words(words) = piece {
                    let found = phrases.judge("", words, false).err().unwrap_or_default();
                    found.into_iter().for_each(|fault| add(field, fault));
                }
            }
            pieces
        };
        let english = language("text.en", &draft.text.en);
        let chinese = language("text.zh", &draft.text.zh);
        let template = MessageTemplate { title: draft.title, english, chinese };
        if templates.insert(draft.situation, template).is_some() {
            add("situation", Fault::new("", ("is given twice", "重复")));
        }
    }
    if faults.is_empty() { Ok(templates) } else { Err(faults) }
}

/// The pieces of a text, and everything that is wrong with it.
fn parse(text: &str) -> (Vec<Piece>, Vec<Fault>) {
    let (mut pieces, mut faults) = (Vec::new(), Vec::new());
    let mut words = String::new();
    let mut variables = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        words.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            words.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find(['{', '}']).filter(|end| brace == "{" && rest[*end..].starts_with('}'));
        let Some(end) = end else {
            let description = (
                "has a brace without its partner; write {{ or }} for a brace itself",
                "花括号不成对；花括号本身请写作 {{ 或 }}",
            );
            faults.push(Fault::new("", description));
            continue;
        };
        let name = rest[..end].trim();
        match name.parse::<Variable>() {
            Ok(variable) => {
                variables += 1;
                if !words.is_empty() {
                    pieces.push(Piece::Words(std::mem::take(&mut words)));
                }
                pieces.push(Piece::Value(variable));
            }
            Err(_) => faults.push(unknown(name)),
        }
        rest = &rest[end + 1..];
    }
    words.push_str(rest);
    if !words.is_empty() {
        pieces.push(Piece::Words(words));
    }
    if variables > MAX_VARIABLES {
        let english = format!("must have at most {MAX_VARIABLES} variables, has {variables}");
        let chinese = format!("最多 {MAX_VARIABLES} 个变量，现有 {variables} 个");
        faults.push(Fault::new("", (english, chinese)));
    }
    (pieces, faults)
}

fn unknown(name: &str) -> Fault {
    let name: String = name.chars().take(40).collect();
    let known: Vec<&str> = Variable::ALL.iter().map(|variable| variable.code()).collect();
    let known = known.join(", ");
    Fault {
        path: String::new(),
        reason: "UNKNOWN_VARIABLE",
        description: format!("has the unknown variable {{{name}}}; known are {known}"),
        chinese: format!("变量 {{{name}}} 不存在；可用变量：{known}"),
    }
}

/// What a wording is filled in with.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The ticket.
    pub ticket: &'a Ticket,
    /// The policy version that judges it; times are in its calendar's time zone.
    pub policy: &'a Policy,
    /// The registered customer's name as far as known.
    pub customer_name: Option<&'a str>,
}

impl MessageTemplate {
    /// A wording that a person writes, in the language of its letters: the values of variables are said in that one.
    ///
    /// # Errors
    /// Everything that is wrong with it, with empty paths.
    pub fn free(text: &str) -> Result<Self, Vec<Fault>> {
        let (pieces, faults) = parse(text);
        if !faults.is_empty() {
            return Err(faults);
        }
        let foreign = |c: char| c.is_alphabetic() && !is_spaced_script(c);
        let (mut english, mut chinese) = (pieces, Vec::new());
        if text.chars().any(foreign) {
            std::mem::swap(&mut english, &mut chinese);
        }
        Ok(Self { title: Text::default(), english, chinese })
    }

    /// Whether a variable stands in it.
    #[must_use]
    pub fn mentions(&self, variable: Variable) -> bool {
        self.english.iter().chain(&self.chinese).any(|piece| *piece == Piece::Value(variable))
    }

    /// Whether it has a text in a language.
    #[must_use]
    pub(super) fn speaks(&self, tongue: Tongue) -> bool {
        let pieces = match tongue {
            Tongue::English => &self.english,
            Tongue::Chinese => &self.chinese,
        };
        pieces.iter().any(|piece| match piece {
            Piece::Words(words) => !words.trim().is_empty(),
            Piece::Value(_) => true,
        })
    }

    /// The wording for a ticket, in each language that it has.
    ///
    /// # Errors
    /// [`Refusal::NoValue`] with every variable for which the ticket has nothing to say.
    pub fn render(&self, filling: Filling<'_>) -> Result<Text, Refusal> {
        let mut missing: Vec<Variable> = Vec::new();
        let mut all = |pieces: &[Piece], language| {
            let mut text = String::new();
            for piece in pieces {
                match piece {
                    Piece::Words(words) => text.push_str(words),
                    Piece::Value(variable) => match filling.value(*variable, language) {
                        Some(value) => text.push_str(&value),
                        None if missing.contains(variable) => {}
                        None => missing.push(*variable),
                    },
                }
            }
            text
        };
        let en = all(&self.english, Language::English);
        let zh = all(&self.chinese, Language::Chinese);
        if missing.is_empty() {
            return Ok(Text::new(en, zh));
        }
        Err(Refusal::NoValue { state: filling.ticket.state.name(), variables: missing })
    }
}

impl Filling<'_> {
    fn value(&self, variable: Variable, language: Language) -> Option<String> {
        let ticket = self.ticket;
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match variable {
            Variable::TicketNumber => text(&ticket.number),
            Variable::TicketSubject => text(&ticket.details.subject),
            Variable::TicketKind => Some(in_language(kind(ticket.kind), language)),
            Variable::TicketCategory => text(&ticket.details.category),
            Variable::TicketProduct => text(&ticket.details.product),
            Variable::TicketOrderReference => text(&ticket.details.order_reference),
            Variable::TicketShop => text(&ticket.details.shop),
            Variable::TicketSolution => text(&ticket.solution()?.text),
            Variable::TicketCreateTime => Some(self.time(ticket.created_at, language)),
            Variable::CustomerName => Some(self.name(language)),
            Variable::DueTime => self.due(None, language),
            Variable::FirstResponseDueTime => self.due(Some(ClockKind::FirstResponse), language),
            Variable::ResolutionDueTime => self.due(Some(ClockKind::Resolution), language),
            Variable::ResultFeedbackDueTime => self.due(Some(ClockKind::ResultFeedback), language),
            Variable::CallBackDueTime => self.due(Some(ClockKind::CallBack), language),
        }
    }

    fn name(&self, language: Language) -> String {
        let name = match &self.ticket.complainant {
            Complainant::Unregistered { name } => Some(name.as_str()),
            Complainant::Customer { .. } => self.customer_name,
            Complainant::Anonymous => None,
        };
        let name = name.filter(|name| !name.is_empty()).map(ToOwned::to_owned);
        name.unwrap_or_else(|| in_language(Text::new("customer", "客户"), language))
    }

    /// The next deadline that lies ahead of a running promise of this cycle.
    fn due(&self, kind: Option<ClockKind>, language: Language) -> Option<String> {
        let running = self.ticket.current_clocks().filter(|clock| {
            clock.state() == ClockState::Running && kind.is_none_or(|kind| clock.kind == kind)
        });
        running.filter_map(|clock| clock.due).min().map(|due| self.time(due, language))
    }

    fn time(&self, at: Timestamp, language: Language) -> String {
        in_language(local_time(self.policy, at), language)
    }
}

/// A time as people read it, in the time zone of the policy's calendar.
pub(super) fn local_time(policy: &Policy, at: Timestamp) -> Text {
    let at = at.to_zoned(policy.calendar().time_zone().clone());
    let written = |form: &str| at.strftime(form).to_string();
    Text::new(written("%-d %B %Y, %H:%M"), written("%Y年%-m月%-d日 %H:%M"))
}

fn in_language(text: Text, language: Language) -> String {
    match language {
        Language::English => text.en,
        Language::Chinese => text.zh,
    }
}

fn kind(kind: TicketKind) -> Text {
    match kind {
        TicketKind::Complaint => Text::new("complaint", "投诉"),
        TicketKind::Inquiry => Text::new("inquiry", "问询"),
        TicketKind::Request => Text::new("request", "报事"),
        TicketKind::Suggestion => Text::new("suggestion", "建议"),
    }
}
