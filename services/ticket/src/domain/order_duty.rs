//! Whose a step of a work order is (T-16).

use super::word::{Text, coded};

coded! {
    /// Whose a step is.
    Duty {
        /// The assignee's.
        Assignee = "assignee",
        /// The dispatcher's.
        Dispatcher = "dispatcher",
        /// Anybody's but those who had or did the work.
        NotWorker = "not_worker",
        /// Anybody's but whoever objected.
        NotDisputer = "not_disputer",
        /// Anybody's but whoever issued it.
        NotIssuer = "not_issuer",
        /// Whoever's who has it.
        Worker = "worker",
    }
}

impl Duty {
    /// In words, for whoever was refused.
    #[must_use]
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Assignee => ("only the assignee may do this", "只能由被派单人办理"),
            Self::Dispatcher => (
                "only the dispatcher in charge may do this, or whoever may decide disputes",
                "只能由当班派单人或有权裁定申诉的人员办理",
            ),
            Self::NotWorker => {
                ("whoever had or did the work may not do this", "承办人不得办理此项")
            }
            Self::NotDisputer => {
                ("whoever objected may not decide on it", "申诉人不得裁定本人的申诉")
            }
            Self::NotIssuer => (
                "whoever issued the order may not decide on an objection to it",
                "派单人不得裁定对本人所派工单的申诉",
            ),
            Self::Worker => (
                "only whoever has the order may do this, whoever stands in for him, or a supervisor",
                "只能由承办人、其代理人或主管办理",
            ),
        };
        Text::new(en, zh)
    }
}
