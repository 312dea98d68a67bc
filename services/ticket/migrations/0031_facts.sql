-- What a ticket concerns besides its product, and whose it is once that was put right (T-01); who had a work order or an action
-- before somebody else got it (T-16, T-18). As in 0001, nothing here names the schema.

ALTER TABLE ticket
    ADD COLUMN order_reference text NOT NULL DEFAULT '',
    ADD COLUMN shop            text NOT NULL DEFAULT '';
COMMENT ON COLUMN ticket.product IS 'The product concerned; empty where none was named.';
COMMENT ON COLUMN ticket.order_reference IS
    'The customer''s order or contract concerned, as the customer names it; empty where none was named. No work order: those '
    'name their ticket.';
COMMENT ON COLUMN ticket.shop IS 'The shop concerned, by code or name; empty where none was named.';

-- As in 0029, with the new names. What is queued has neither yet, so queue_entry.fields stays as it is.
CREATE OR REPLACE FUNCTION ticket_fields(of ticket, states jsonb, due jsonb, owed_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'state', of.state,
        'kind', of.kind,
        'channel', of.channel,
        'priority', of.priority,
        'severity', of.severity,
        'receiver_level', of.receiver_level,
        'cycle', of.cycle,
        'number', of.number,
        'product', nullif(of.product, ''),
        'order_reference', nullif(of.order_reference, ''),
        'shop', nullif(of.shop, ''),
        'category', nullif(of.category, ''),
        'org_unit', of.org_unit,
        'tag', of.tags,
        'fields', of.custom_fields,
        'first_contact_owner', of.first_contact_owner,
        'handler', of.handler,
        'owner', of.owner,
        'team', of.team_id,
        'customer', of.customer_id,
        'customer_grade', nullif(of.customer_grade, ''),
        'complainant_type', of.complainant_type,
        'create_time', (extract(epoch FROM of.created_at) * 1000000)::bigint,
        'update_time', (extract(epoch FROM of.updated_at) * 1000000)::bigint,
        'undelivered', CASE (of.outbound #>> '{undelivered,cancelled}')::boolean
                           WHEN true THEN 'cancelled' WHEN false THEN 'parked' END,
        'due_time', (extract(epoch FROM owed_at) * 1000000)::bigint,
        'clock', states,
        'due', due))
$$;

-- Whose a ticket is may have been put down wrong. With the ticket goes what hangs on it, also what else never changes.
DO $$
DECLARE
    app text := 'kefu_' || current_schema();
    evidence text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        FOREACH evidence IN ARRAY ARRAY[
            'verdict', 'escalation', 'message', 'routing_step', 'handling_record', 'root_cause', 'trigger_run']
        LOOP
            EXECUTE format('GRANT UPDATE (customer_id) ON %I TO %I', evidence, app);
        END LOOP;
    END IF;
END
$$;

CREATE TABLE work_order_reassignment (
    work_order_id uuid        NOT NULL REFERENCES work_order,
    position      smallint    NOT NULL CHECK (position >= 0),
    from_assignee text        CHECK (from_assignee <> ''),
    accepted_at   timestamptz,
    to_assignee   text        NOT NULL CHECK (to_assignee <> ''),
    reason        text        NOT NULL CHECK (reason <> ''),
    reassigned_by text        NOT NULL CHECK (reassigned_by <> ''),
    reassigned_at timestamptz NOT NULL,
    PRIMARY KEY (work_order_id, position),
    CONSTRAINT work_order_reassigned_to_another CHECK (from_assignee <> to_assignee),
    CONSTRAINT work_order_nobody_hands_on_his_own CHECK (from_assignee <> reassigned_by)
);
COMMENT ON TABLE work_order_reassignment IS 'Who had a work order before somebody else got it, oldest first (T-16).';
COMMENT ON COLUMN work_order_reassignment.from_assignee IS 'Null where only a team had it.';
COMMENT ON COLUMN work_order_reassignment.accepted_at IS 'When that one had accepted it; null where not.';

CREATE TABLE corrective_action_reassignment (
    action_id     uuid        NOT NULL REFERENCES corrective_action,
    position      smallint    NOT NULL CHECK (position >= 0),
    from_owner    text        NOT NULL CHECK (from_owner <> ''),
    started_at    timestamptz,
    to_owner      text        NOT NULL CHECK (to_owner <> '' AND to_owner <> from_owner),
    reason        text        NOT NULL CHECK (reason <> ''),
    reassigned_by text        NOT NULL CHECK (reassigned_by <> '' AND reassigned_by <> from_owner),
    reassigned_at timestamptz NOT NULL,
    PRIMARY KEY (action_id, position)
);
COMMENT ON TABLE corrective_action_reassignment IS
    'Who had a corrective action before somebody else got it, oldest first (T-18).';
COMMENT ON COLUMN corrective_action_reassignment.started_at IS 'When that one had begun the round; null where not.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON work_order_reassignment, corrective_action_reassignment FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON work_order_reassignment, corrective_action_reassignment TO %I', app);
    END IF;
END
$$;
