-- Several people may handle one cycle of a ticket, and none of them judges it (T-13, S-05).

ALTER TABLE invitation ADD COLUMN handlers text[] NOT NULL DEFAULT '{}';
UPDATE invitation SET handlers = ARRAY[handler] WHERE handler <> '';

COMMENT ON COLUMN invitation.handlers IS
    'Subjects of all who handled this cycle of the ticket, none of whom may hold the token or answer (T-13, S-05); the last '
    'came last. Empty where unknown, and in rows of the version before this column, which count by handler.';
COMMENT ON COLUMN invitation.handler IS
    'The last of handlers, for the version before that column; empty where unknown.';
