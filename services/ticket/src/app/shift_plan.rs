//! Shifts that the system plans from the patterns of the policies and the rosters (T-17), and the handover record on paper.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Provenance;
use kefu_policy::Snapshot;
use kefu_postgres::StoreError;
use kefu_rpc::Language;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{App, Error, resource_audit};
use crate::domain::{
    Occurrence, Policy, Rostered, Shift, ShiftRules, Subject, crew, follow_roster, occurrences,
    plan_from_pattern,
};
use crate::encode::{shift as encode, shift_form};
use crate::store;
use crate::store::shift_plan::{ShiftTeam, Wanted};

/// Teams that are looked at in one statement.
const TEAMS: i64 = 500;
/// The most work orders that a handover record shows.
const LINES: usize = 500;
/// Under which name the planner acts.
const PLANNER: &str = "shift-planner";

impl App {
    /// Plans the shifts that the patterns of the policies ask for by now, and lets those that have not begun follow the
    /// roster. One that cannot be planned keeps the others from nothing. Safe in any number of replicas at once: a shift of
    /// a pattern is there once.
    ///
    /// # Errors
    /// When the database is away; otherwise the first failure, after everything else was done.
    pub async fn plan_due_shifts(&self) -> Result<(), Error> {
        let now = self.now();
        let policies = self.policies.refresh().await?;
        let codes: BTreeSet<String> = policies
            .versions()
            .filter_map(|version| version.policy.learning().shifts.as_ref())
            .flat_map(|rules| rules.patterns.iter().map(|pattern| pattern.team.clone()))
            .collect();
        let codes: Vec<String> = codes.into_iter().collect();
        let (mut failure, mut after) = (None, None);
        if codes.is_empty() {
            return Ok(());
        }
        loop {
            let teams = store::shift_plan::teams(&self.pool, &codes, after, TEAMS).await?;
            after = teams.last().map(|team| team.id);
            let wanted: Vec<Wanted> =
                teams.iter().flat_map(|team| wanted(&policies, team, now)).collect();
            for (place, outcome) in self.look_at(&policies, &wanted).await? {
                match outcome {
                    Ok(()) => {}
                    Err(error @ Error::Store(StoreError::Unavailable(_))) => return Err(error),
                    // Somebody else was at it; the next look comes soon.
                    Err(Error::Store(StoreError::Conflict(_))) => {}
                    Err(error) => {
                        let wanted: Option<&Wanted> = wanted.get(place);
                        let team = wanted.map(|wanted| wanted.team.id);
                        tracing::error!(?team, %error, "a shift cannot be planned");
                        failure = failure.or(Some(error));
                    }
                }
            }
            if i64::try_from(teams.len()).is_ok_and(|found| found < TEAMS) {
                return failure.map_or(Ok(()), Err);
            }
        }
    }

    /// Plans those of the wanted shifts that are not there and for which there is somebody, and lets those that have not begun
    /// follow the roster. As a rule there is nothing to do, and a few statements tell that of all of them.
    async fn look_at(
        &self,
        policies: &Snapshot<Policy>,
        wanted: &[Wanted],
    ) -> Result<Vec<(usize, Result<(), Error>)>, Error> {
        let now = self.now();
        let mut conn = self.read().await?;
        let there = store::shift_plan::planned(&mut conn, wanted).await?;
        let there: BTreeMap<usize, Uuid> = there.into_iter().collect();
        let waiting = |place: &usize| wanted.get(*place).is_some_and(|of| now <= of.shift.starts);
        let ids = there.iter().filter(|(place, _)| waiting(place)).map(|(_, id)| *id);
        let ids: Vec<Uuid> = ids.collect();
        let shifts = store::shift::by_id(&mut conn, &ids).await?;
        let mut crews: BTreeMap<usize, Vec<Rostered>> = BTreeMap::new();
        for (place, turn) in store::shift_plan::rostered(&mut conn, wanted).await? {
            crews.entry(place).or_default().push(turn);
        }
        drop(conn);
        let mut outcomes = Vec::new();
        for (place, of) in wanted.iter().enumerate() {
            let Some(rostered) = crews.get(&place) else { continue };
            let Some(id) = there.get(&place) else {
                outcomes.push((place, self.plan_one(policies, of).await));
                continue;
            };
            let members = crew(of.shift, rostered);
            let changes = |shift: &Shift| {
                shift.id == *id && of.is(shift) && follow_roster(shift, &members, now).is_some()
            };
            if shifts.iter().any(changes) {
                outcomes.push((place, self.follow(*id, of).await));
            }
        }
        Ok(outcomes)
    }

    /// Nothing where somebody else was faster, or nobody is on the roster any more.
    async fn plan_one(&self, policies: &Snapshot<Policy>, wanted: &Wanted) -> Result<(), Error> {
        let Wanted { team, pattern, shift: occurrence } = wanted;
        let version = policies.effective(&unit(team)?, occurrence.starts);
        let version = version.ok_or_else(|| {
            Error::Defect("the policy of a shift that it asks for is not there".to_owned())
        })?;
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let now = self.now();
        let members = self.crew_of(&mut tx, wanted).await?;
        let Some(leader) = members.first().cloned() else { return Ok(()) };
        let shift = Shift {
            id: self.ids.uuid(),
            policy_version: version.id,
            centre: team.org_unit.clone(),
            starts: occurrence.starts,
            ends: occurrence.ends,
            members,
            leader,
            list_due: None,
            missed: None,
            listed: None,
            signed_out: None,
            signed_in: None,
            pattern: Some((team.id, pattern.clone())),
            crewed_by: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        let shift = plan_from_pattern(shift, &version.policy, now)?;
        if !store::shift::insert(&mut tx, &shift).await? {
            return Ok(());
        }
        let audit = resource_audit::changed(None, &encode::resource(&shift))?;
        let by = Provenance::system(PLANNER);
        self.record_shift(&mut tx, &by, &shift, ("PlanShift", audit, None)).await?;
        tx.commit().await?;
        self.tail.wake();
        self.learning_timers.expect(shift.next_fire_at());
        Ok(())
    }

    async fn crew_of(
        &self,
        conn: &mut PgConnection,
        wanted: &Wanted,
    ) -> Result<Vec<Subject>, Error> {
        let rostered = store::shift_plan::rostered(conn, std::slice::from_ref(wanted)).await?;
        let rostered: Vec<_> = rostered.into_iter().map(|(_, turn)| turn).collect();
        Ok(crew(wanted.shift, &rostered))
    }

    /// Lets a shift that has not begun follow the roster, as it is under the shift's lock.
    async fn follow(&self, id: Uuid, wanted: &Wanted) -> Result<(), Error> {
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        if !store::shift::try_lock(&mut tx, id).await? {
            return Ok(());
        }
        let before = store::shift::find(&mut tx, id).await?.ok_or_else(|| {
            Error::Defect("a shift that was there is not there any more".to_owned())
        })?;
        let members = self.crew_of(&mut tx, wanted).await?;
        let after = follow_roster(&before, &members, self.now()).filter(|_| wanted.is(&before));
        let Some(after) = after else { return Ok(()) };
        store::shift::update(&mut tx, &after, before.revision).await?;
        let (old, new) = (encode::resource(&before), encode::resource(&after));
        let audit = resource_audit::changed(Some(&old), &new)?;
        let by = Provenance::system(PLANNER);
        self.record_shift(&mut tx, &by, &after, ("FollowRoster", audit, None)).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(())
    }

    /// The handover record as a page to print, with times in the time zone of its dispatch centre.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn render_shift_handover(
        &self,
        caller: &Caller,
        id: Uuid,
        language: Language,
    ) -> Result<String, Error> {
        // Shift, list and names as of one moment.
        let mut tx = kefu_postgres::begin_snapshot(&self.pool).await?;
        let shift = self.readable_shift(&mut tx, caller, "ticket.RenderShiftHandover", id).await?;
        let limit = i64::try_from(LINES).unwrap_or(i64::MAX).saturating_add(1);
        let mut lines = if shift.signed_out.is_some() {
            store::shift::lines(&mut tx, id, None, limit).await?
        } else {
            store::shift::unfinished(&mut tx, &shift, None, None, limit).await?
        };
        let cut = lines.len() > LINES;
        lines.truncate(LINES);
        let incoming = match &shift.signed_in {
            Some((incoming, _)) => store::shift::find(&mut tx, *incoming).await?,
            None => None,
        };
        let titles = store::report::titles(&mut tx, std::slice::from_ref(&shift.centre)).await?;
        tx.commit().await?;
        let mut conn = self.read().await?;
        let version = self.version_of_shift(&mut conn, &shift).await?;
        drop(conn);
        let record = shift_form::Record {
            shift: &shift,
            incoming: incoming.as_ref(),
            lines: &lines,
            cut,
            title: titles.get(&shift.centre),
            pattern: pattern_title(version.policy.learning().shifts.as_ref(), &shift),
            as_of: self.now(),
        };
        Ok(shift_form::render(&record, language, version.policy.calendar().time_zone()))
    }
}

fn pattern_title<'a>(
    rules: Option<&'a ShiftRules>,
    shift: &Shift,
) -> Option<&'a crate::domain::Text> {
    let (_, code) = shift.pattern.as_ref()?;
    let pattern = rules?.patterns.iter().find(|pattern| pattern.code == *code)?;
    Some(&pattern.title)
}

/// What the policies ask for a team: of the policy in force when a shift begins.
fn wanted(policies: &Snapshot<Policy>, team: &ShiftTeam, now: Timestamp) -> Vec<Wanted> {
    let Ok(at) = unit(team) else { return Vec::new() };
    let Some(first) = policies.effective(&at, now) else { return Vec::new() };
    let horizon = |rules: &ShiftRules| {
        let ahead = SignedDuration::try_from(rules.plan_before).unwrap_or_default();
        now.checked_add(ahead).unwrap_or(now)
    };
    let mut versions = vec![first];
    // A version that takes effect before the shifts begin that are to be planned now.
    let until = first.policy.learning().shifts.as_ref().map_or(now, horizon);
    versions.extend(policies.effective(&at, until).filter(|later| later.id != first.id));
    let mut wanted = Vec::new();
    for version in versions {
        let Some(rules) = &version.policy.learning().shifts else { continue };
        for pattern in rules.patterns.iter().filter(|pattern| pattern.team == team.code) {
            let calendar = version.policy.calendar();
            let in_force = |shift: &Occurrence| {
                policies.effective(&at, shift.starts).is_some_and(|then| then.id == version.id)
            };
            let shifts = occurrences(pattern, calendar, now, horizon(rules));
            wanted.extend(shifts.into_iter().filter(in_force).map(|shift| Wanted {
                team: team.clone(),
                pattern: pattern.code.clone(),
                shift,
            }));
        }
    }
    wanted
}

impl Wanted {
    /// Whether a shift is this one: one of another time, because the policy changed meanwhile, follows the roster no more.
    fn is(&self, shift: &Shift) -> bool {
        let own = shift.pattern.as_ref().is_some_and(|(team, code)| {
            (*team, code.as_str()) == (self.team.id, self.pattern.as_str())
        });
        own && (shift.starts, shift.ends) == (self.shift.starts, self.shift.ends)
    }
}

fn unit(team: &ShiftTeam) -> Result<OrgUnit, StoreError> {
    team.org_unit.parse().map_err(|error| StoreError::corrupt("team.org_unit", error))
}
