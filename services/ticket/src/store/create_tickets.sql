-- Registers many tickets with all that belongs to them, in one statement and so in one commit: the claims of their
-- request ids, their numbers, the tickets, their clocks, the journal with the public event; and where the policy has rules
-- for it (T-03), their teams and owners, with what that was decided by.
--
-- An entry is left out, and consumes nothing, if
--   * what its caller had in memory was stale: the policies, or the customer's standings;
--   * its org unit has no counter for that year yet;
--   * its request id was used before. No two entries of one call may have the same one.
-- Whoever calls learns from the answer which entries were registered and finds out about the rest.
--
-- Concurrent calls lock the claims first, then the counters, then the teams in which somebody is chosen, then the loads of
-- those who could be, each in order, so that they cannot lock each other out. Loads and turns are read by locking them, so
-- they are what the distribution before this one left, however old this statement's snapshot is; who is on duty is seen as
-- of the snapshot. Several tickets for one team get their owners one after the other as if each had come alone: the n-th
-- ticket that somebody would get here counts as if he had n - 1 more by then.
--
-- The number is known only here, so it is put behind the serialised event as one more occurrence of its fields, which a
-- protobuf parser merges with the ones before: `ticket` (1) with `number` (2), whose text is shorter than 124 bytes; and so
-- are team (70), `teams/` and a UUID, and owner (71), of at most 120 bytes, where there are any.
WITH entry AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::text[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::text[], $8::text[],
        $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::uuid[], $14::text[], $15::text[], $16::text[],
        $17::text[], $18::text[], $19::text[], $20::smallint[], $21::timestamptz[], $22::text[], $23::text[],
        $24::smallint[], $25::uuid[], $26::timestamptz[], $27::uuid[], $28::text[], $29::text[], $30::text[],
        $31::text[], $32::bytea[], $43::text[], $44::text[], $45::text[], $46::bigint[], $47::text[], $48::text[],
        $49::text[], $50::text[], $51::timestamptz[], $52::jsonb[], $53::text[], $54::text[])
        WITH ORDINALITY AS entry (
        id, org_unit, year, policy_seq, customer_id, customer_stamp, caller, request_id,
        fingerprint, response, kind, channel, contact_id, complainant, subject, description,
        category, product, tags, severity, occurred_at, priority, customer_grade,
        receiver_level, policy_version_id, created_at, event_id, actor_org_unit, origin, traceparent,
        after, event, team_code, fixed_owner, distribution, amount_cents, currency, complainant_type,
        rule, looks, attend_at, custom_fields, order_reference, shop, place)
),
ready AS (
    SELECT entry.caller, entry.request_id, entry.fingerprint, entry.response
    FROM entry
    JOIN number_counter AS counter ON counter.org_unit = entry.org_unit AND counter.year = entry.year
    LEFT JOIN customer_copy AS customer ON customer.id = entry.customer_id
    WHERE entry.policy_seq = (SELECT coalesce(max(seq), 0) FROM policy_version)
      AND customer.stamp IS NOT DISTINCT FROM entry.customer_stamp
    ORDER BY entry.caller, entry.request_id
),
claimed AS (
    INSERT INTO request (caller, request_id, method, fingerprint, response)
    SELECT caller, request_id, $33, fingerprint, response FROM ready
    ON CONFLICT (caller, request_id) DO NOTHING
    RETURNING caller, request_id
),
taken AS (
    SELECT entry.org_unit, entry.year, count(*) AS amount
    FROM claimed JOIN entry USING (caller, request_id)
    GROUP BY entry.org_unit, entry.year
),
locked AS MATERIALIZED (
    SELECT counter.org_unit, counter.year, taken.amount
    FROM taken JOIN number_counter AS counter USING (org_unit, year)
    ORDER BY counter.org_unit, counter.year
    FOR UPDATE OF counter
),
counted AS (
    UPDATE number_counter AS counter SET last_number = counter.last_number + locked.amount
    FROM locked
    WHERE counter.org_unit = locked.org_unit AND counter.year = locked.year
    RETURNING counter.org_unit, counter.year, counter.label, counter.last_number - locked.amount AS before
),
counting AS (
    SELECT entry.*, counted.label,
           (counted.before + row_number() OVER (PARTITION BY entry.org_unit, entry.year ORDER BY entry.place))::text AS count
    FROM claimed JOIN entry USING (caller, request_id) JOIN counted USING (org_unit, year)
),
numbered AS MATERIALIZED (
    SELECT *, 'T-' || year || '-' || label || '-' || lpad(count, greatest(6, length(count)), '0') AS number FROM counting
),
routed AS MATERIALIZED (
    SELECT numbered.id, numbered.place, numbered.created_at, team.id AS team_id, numbered.distribution,
           (SELECT acting.staff
            FROM team_member CROSS JOIN LATERAL stand_in(team_member.staff, numbered.created_at) AS acting (staff)
            WHERE team_member.team_id = team.id AND team_member.staff = numbered.fixed_owner
              AND (acting.staff = team_member.staff OR covers(acting.staff, team.org_unit))) AS fixed_owner
    FROM numbered CROSS JOIN LATERAL (
        SELECT team.id, team.org_unit FROM team
        WHERE team.code = numbered.team_code AND NOT team.retired
          AND (team.org_unit = numbered.org_unit OR starts_with(numbered.org_unit, team.org_unit || '/'))
        ORDER BY length(team.org_unit) DESC
        LIMIT 1
    ) AS team
    WHERE numbered.team_code IS NOT NULL
),
turning AS MATERIALIZED (
    SELECT team.id, team.turn FROM team
    WHERE team.id IN (SELECT team_id FROM routed WHERE distribution IS NOT NULL OR fixed_owner IS NOT NULL)
    ORDER BY team.id
    FOR NO KEY UPDATE OF team
),
candidate AS MATERIALIZED (
    SELECT turning.id AS team_id, duty.staff, duty.stands_for
    FROM turning
    JOIN (
        SELECT team_id, max(created_at) AS moment FROM routed WHERE distribution IS NOT NULL GROUP BY team_id
    ) AS asked ON asked.team_id = turning.id
    CROSS JOIN LATERAL on_duty(asked.team_id, asked.moment) AS duty
),
loaded AS MATERIALIZED (
    SELECT load.team_id, load.staff, load.open_tickets, load.turn
    FROM member_load AS load
    WHERE (load.team_id, load.staff) IN (
        SELECT team_id, staff FROM candidate
        UNION
        SELECT routed.team_id, routed.fixed_owner FROM routed JOIN turning ON turning.id = routed.team_id
        WHERE routed.fixed_owner IS NOT NULL)
    ORDER BY load.team_id, load.staff
    FOR NO KEY UPDATE OF load
),
able AS MATERIALIZED (
    SELECT candidate.team_id, candidate.staff, candidate.stands_for, loaded.open_tickets, loaded.turn,
           turning.turn AS team_turn
    FROM candidate JOIN loaded USING (team_id, staff) JOIN turning ON turning.id = candidate.team_id
),
seeking AS MATERIALIZED (
    SELECT id, team_id, distribution, row_number() OVER (PARTITION BY team_id, distribution ORDER BY place) AS slot
    FROM routed WHERE distribution IS NOT NULL AND fixed_owner IS NULL
),
slots AS MATERIALIZED (
    SELECT team_id, distribution, staff, slot
    FROM (
        SELECT asked.team_id, asked.distribution, asked.amount, able.staff,
               row_number() OVER (
                   PARTITION BY asked.team_id, asked.distribution
                   ORDER BY CASE asked.distribution WHEN 'least_load' THEN able.open_tickets + step ELSE step END,
                            step, able.turn, able.staff) AS slot
        FROM (SELECT team_id, distribution, count(*) AS amount FROM seeking GROUP BY team_id, distribution) AS asked
        JOIN able USING (team_id)
        CROSS JOIN LATERAL generate_series(0, asked.amount - 1) AS step
    ) AS every
    WHERE slot <= amount
),
found AS MATERIALIZED (
    SELECT seeking.id, slots.staff FROM seeking JOIN slots USING (team_id, distribution, slot)
    UNION ALL
    SELECT routed.id, loaded.staff
    FROM routed JOIN loaded ON loaded.team_id = routed.team_id AND loaded.staff = routed.fixed_owner
),
chosen AS MATERIALIZED (
    SELECT routed.id, routed.team_id, routed.distribution, found.staff,
           row_number() OVER (PARTITION BY routed.team_id ORDER BY routed.place) AS nth
    FROM found JOIN routed USING (id)
),
could AS (
    SELECT chosen.id, chosen.distribution, able.staff, able.stands_for,
           able.open_tickets + count(*) FILTER (WHERE chosen.staff = able.staff) OVER before AS open,
           coalesce(max(able.team_turn + chosen.nth) FILTER (WHERE chosen.staff = able.staff) OVER before, able.turn) AS turn
    FROM chosen JOIN able USING (team_id)
    WINDOW before AS (
        PARTITION BY chosen.team_id, able.staff ORDER BY chosen.nth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
ranked AS (
    SELECT *, row_number() OVER (
               PARTITION BY id ORDER BY CASE distribution WHEN 'least_load' THEN open ELSE 0 END, turn, staff) AS rank
    FROM could WHERE distribution IS NOT NULL
),
compared AS MATERIALIZED (
    SELECT id, jsonb_agg(
               jsonb_build_object('staff', staff, 'for', nullif(stands_for, ''), 'open', open, 'turn', turn)
               ORDER BY rank) AS candidates
    FROM ranked WHERE rank <= 50 GROUP BY id
),
turned AS (
    UPDATE team SET turn = team.turn + given.amount
    FROM (SELECT team_id, count(*) AS amount FROM chosen GROUP BY team_id) AS given
    WHERE team.id = given.team_id
),
burdened AS (
    UPDATE member_load AS load SET open_tickets = load.open_tickets + given.amount, turn = given.turn
    FROM (
        SELECT chosen.team_id, chosen.staff, count(*)::integer AS amount, max(turning.turn + chosen.nth) AS turn
        FROM chosen JOIN turning ON turning.id = chosen.team_id
        GROUP BY chosen.team_id, chosen.staff
    ) AS given
    WHERE load.team_id = given.team_id AND load.staff = given.staff
),
placed AS MATERIALIZED (
    SELECT numbered.*, routed.team_id, chosen.staff AS owner
    FROM numbered LEFT JOIN routed USING (id) LEFT JOIN chosen USING (id)
),
explained AS (
    INSERT INTO routing_step (
        ticket_id, position, customer_id, cause, actor, looks, rule, team_code, team_id, distribution, candidates, owner,
        decided_at)
    SELECT placed.id, 0, placed.customer_id, 'intake', placed.caller, placed.looks::jsonb, placed.rule, placed.team_code,
           placed.team_id, placed.distribution, compared.candidates,
           placed.owner, placed.created_at
    FROM placed LEFT JOIN compared USING (id)
    WHERE placed.looks IS NOT NULL
),
ticketed AS (
    INSERT INTO ticket (
        id, number, revision, policy_version_id, org_unit, kind, channel, customer_id, contact_id, complainant, severity,
        occurred_at, subject, description, category, product, tags, customer_grade, priority, first_contact_owner,
        receiver_level, cycle, cycle_started_at, state, created_at, updated_at, team_id, owner, distribution, amount_cents,
        currency, complainant_type, attend_at, custom_fields, order_reference, shop)
    SELECT id, number, 1, policy_version_id, org_unit, kind, channel, customer_id, contact_id, complainant, severity,
           occurred_at, subject, description, category, product, string_to_array(tags, E'\n'), customer_grade, priority, caller,
           receiver_level, 1, created_at, 'registered', created_at, created_at, team_id, owner,
           CASE WHEN team_id IS NOT NULL THEN distribution END, amount_cents, currency, complainant_type, attend_at,
           custom_fields, order_reference, shop
    FROM placed
),
clocked AS (
    INSERT INTO ticket_clock (
        ticket_id, cycle, rule, position, customer_id, kind, state, started_at, due_at, warn_at, next_fire_at, steps)
    SELECT numbered.id, 1, clock.rule, clock.position, numbered.customer_id, clock.kind, 'running', numbered.created_at,
           clock.due_at, clock.warn_at, clock.next_fire_at, clock.steps
    FROM unnest($34::uuid[], $35::text[], $36::smallint[], $37::text[], $38::timestamptz[], $39::timestamptz[],
                $40::timestamptz[], $42::jsonb[])
        AS clock (ticket_id, rule, position, kind, due_at, warn_at, next_fire_at, steps)
    JOIN numbered ON numbered.id = clock.ticket_id
),
journaled AS (
    INSERT INTO journal (
        event_id, occurred_at, actor, actor_org_unit, origin, request_id, traceparent, aggregate_type, aggregate_id,
        revision, action, org_unit, customer_id, after, event_type, event)
    SELECT event_id, created_at, caller, actor_org_unit, origin, request_id, traceparent, 'ticket', id,
           1, 'CreateTicket', org_unit, customer_id,
           CASE WHEN team_id IS NULL THEN after::jsonb || jsonb_build_object('number', number)
                WHEN owner IS NULL THEN after::jsonb || jsonb_build_object('number', number, 'team', team_id)
                ELSE after::jsonb || jsonb_build_object('number', number, 'team', team_id, 'owner', owner) END, $41,
           event || set_byte(set_byte('\x0a001200', 1, length(number) + 2), 3, length(number))
                 || convert_to(number, 'UTF8')
                 || CASE WHEN team_id IS NULL THEN '' ELSE '\x0a2db2042a'::bytea || convert_to('teams/' || team_id, 'UTF8') END
                 || CASE WHEN owner IS NULL THEN ''
                         ELSE set_byte(set_byte('\x0a00ba0400', 1, octet_length(owner) + 3), 4, octet_length(owner))
                              || convert_to(owner, 'UTF8') END
    FROM placed
    ORDER BY place
)
SELECT id AS "id!", number AS "number!", team_id AS "team_id?", owner AS "owner?" FROM placed
