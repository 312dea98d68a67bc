-- What is said to a customer (T-14): which forbidden phrases it was said in spite of, and pages of it.

ALTER TABLE message ADD COLUMN overridden_phrases text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN message.overridden_phrases IS
    'The policy''s forbidden phrases that are in it and that a supervisor overrode, as the policy writes them (T-14).';

-- With the id, so that a page ends at one message and the next begins after it.
CREATE INDEX message_page_idx ON message (ticket_id, sent_at, id);
DROP INDEX message_ticket_idx;
