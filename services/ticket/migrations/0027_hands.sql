-- Who has a ticket in hand (T-03, T-11, T-25). As in 0001, nothing here names the schema.

ALTER TABLE routing_step
    DROP CONSTRAINT routing_step_cause_check,
    ADD CONSTRAINT routing_step_cause_check CHECK (cause IN ('intake', 'duty', 'absence', 'left', 'manual', 'transfer'));

-- What is resolved has to be told to the customer yet, so it is somebody's load, waits for somebody and finds whoever stands
-- in, as what is open does.
DROP INDEX ticket_unowned_idx, ticket_owned_idx;
CREATE INDEX ticket_unowned_idx ON ticket (team_id, distribution, created_at, id) WHERE team_id IS NOT NULL AND owner IS NULL
    AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review');
CREATE INDEX ticket_owned_idx ON ticket (owner, team_id, created_at, id) WHERE owner IS NOT NULL
    AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review');
-- What somebody accepted and nobody has handled yet: who accepted it may be absent.
CREATE INDEX ticket_received_idx ON ticket (created_at, id) WHERE handling ->> 'receiver' IS NOT NULL
    AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review');
INSERT INTO member_load (team_id, staff, open_tickets)
SELECT team_id, owner, count(*) FROM ticket
WHERE owner IS NOT NULL AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')
GROUP BY team_id, owner
ON CONFLICT (team_id, staff) DO UPDATE SET open_tickets = excluded.open_tickets;

-- Where a ticket was as of a time is told by what was accepted since (T-20).
CREATE INDEX transfer_accepted_idx ON transfer (ended_at) WHERE state = 'accepted';

-- Whether somebody sees the tickets of an org unit: a member of a team at it or above it.
CREATE FUNCTION covers(who text, unit text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM team_member JOIN team ON team.id = team_member.team_id
        WHERE team_member.staff = who AND NOT team.retired
          AND (team.org_unit = unit OR starts_with(unit, team.org_unit || '/')))
$$;

-- As in 0010; but whoever stands in gets only what he sees, whichever of the org units that the team serves it is from.
CREATE OR REPLACE FUNCTION on_duty(team uuid, moment timestamptz) RETURNS TABLE (staff text, stands_for text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT acting.staff, min(CASE WHEN acting.staff = acting.member THEN '' ELSE acting.member END)
    FROM (
        SELECT team_member.staff AS member, stand_in(team_member.staff, moment) AS staff, of.org_unit
        FROM team_member JOIN team AS of ON of.id = team_member.team_id
        WHERE of.id = on_duty.team
          AND (NOT of.rostered OR EXISTS (
              SELECT FROM roster_shift
              WHERE roster_shift.team_id = of.id AND roster_shift.staff = team_member.staff
                AND roster_shift.starts_at <= moment AND roster_shift.ends_at > moment))
    ) AS acting
    JOIN presence ON presence.staff = acting.staff
    WHERE presence.present AND (presence.until IS NULL OR presence.until > moment)
      AND (acting.staff = acting.member OR covers(acting.staff, acting.org_unit))
    GROUP BY acting.staff
$$;
