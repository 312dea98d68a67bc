//! The category tree of a policy (T-01).

use std::collections::BTreeMap;

use super::{
    policy_check::Faults,
    routing_draft::CategoryDraft,
    word::{Text, Words},
};

/// The most categories that a policy can have.
pub(crate) const MAX_CATEGORIES: usize = 500;
/// How deep the tree may be.
const MAX_DEPTH: usize = 8;
/// A ticket's category has no room for more.
const MAX_PATH: usize = 200;

/// The categories by their paths, the codes from the top: `service/attitude`. Empty where the policy has none; then any
/// text will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryTree(BTreeMap<String, Text>);

impl CategoryTree {
    /// Whether a ticket may have this category: one of the tree, or none yet.
    #[must_use]
    pub fn allows(&self, category: &str) -> bool {
        category.is_empty() || self.0.is_empty() || self.0.contains_key(category)
    }

    /// Whether it is a category of the tree.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The paths and what they are called, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.0.iter().map(|(path, title)| (path.as_str(), title))
    }

    /// From the drafts; what cannot be placed in the tree is left out, and named.
    pub(super) fn check(drafts: Vec<CategoryDraft>, faults: &mut Faults) -> Self {
        faults.at_most(drafts.len(), MAX_CATEGORIES, "categories");
        let mut places = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            let path = format!("categories[{index}]");
            faults.name(&draft.code, format_args!("{path}.code"));
            faults.unique(&mut places, draft.code.clone(), index, format_args!("{path}.code"));
            if draft.title == Text::default() {
                let description = ("must have a text in English or Chinese", "须有英文或中文内容");
                faults.add(format_args!("{path}.title"), description);
            }
        }
        let mut tree = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            match path_of(&drafts, &places, index) {
                Ok(path) => _ = tree.insert(path, draft.title.clone()),
                Err(Misplaced::Below) => {}
                Err(Misplaced::Because(description)) => {
                    faults.add(format_args!("categories[{index}].parent"), description);
                }
            }
        }
        Self(tree)
    }
}

enum Misplaced {
    /// The fault lies above and is named there.
    Below,
    Because(Words),
}

fn path_of(
    drafts: &[CategoryDraft],
    places: &BTreeMap<String, usize>,
    index: usize,
) -> Result<String, Misplaced> {
    let mut codes = vec![drafts[index].code.as_str()];
    let mut at = index;
    while !drafts[at].parent.is_empty() {
        let Some(parent) = places.get(&drafts[at].parent) else {
            if at != index {
                return Err(Misplaced::Below);
            }
            let unknown = &drafts[at].parent;
            let english = format!("there is no category {unknown:?}");
            let words = (english, format!("没有类别“{unknown}”"));
            return Err(Misplaced::Because(words.into()));
        };
        at = *parent;
        if at == index {
            let circle = circle(&codes);
            let words = (format!("makes a circle: {circle}"), format!("构成循环：{circle}"));
            return Err(Misplaced::Because(words.into()));
        }
        if codes.len() > drafts.len() {
            return Err(Misplaced::Below);
        }
        codes.push(&drafts[at].code);
    }
    codes.reverse();
    let path = codes.join("/");
    if codes.len() > MAX_DEPTH || path.len() > MAX_PATH {
        let words = (
            format!(
                "makes it more than {MAX_DEPTH} deep, or its path longer than {MAX_PATH} characters"
            ),
            format!("使层级超过 {MAX_DEPTH} 层，或路径超过 {MAX_PATH} 个字符"),
        );
        return Err(Misplaced::Because(words.into()));
    }
    Ok(path)
}

fn circle(codes: &[&str]) -> String {
    let first = codes.first().copied();
    codes.iter().copied().chain(first).collect::<Vec<_>>().join(" below ")
}

/// Whether a path is another one or lies below it: of categories, and of org units.
pub(super) fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
