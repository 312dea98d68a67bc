-- What the complaint report reads (T-20). As in 0001, nothing here names the schema.

-- What is open, oldest first: a small part of the table, whatever its size.
CREATE INDEX IF NOT EXISTS ticket_open_idx ON ticket (org_unit, created_at, id) WHERE state NOT IN ('closed', 'cancelled');

-- What ended when, with all that a report asks of it: closed and cancelled in a week, and what was still open at an earlier
-- time. A registration does not write it; a ticket enters it once, when it ends.
CREATE INDEX ticket_ended_idx ON ticket (org_unit, state_since) INCLUDE (created_at, kind, state, id)
    WHERE state IN ('closed', 'cancelled');
