-- What is on record later than it happened, and who was answerable when a promise was broken (T-05, T-07, T-10, T-13). As in
-- 0001, nothing here names the schema. New columns without a default rewrite nothing.

ALTER TABLE verdict ADD COLUMN given_at timestamptz;
COMMENT ON COLUMN verdict.given_at IS
    'When the customer gave it: was asked, or submitted the answer. Null in what was entered before this was asked for: then '
    'when it was recorded.';

ALTER TABLE ticket_clock ADD COLUMN answerable text;
COMMENT ON COLUMN ticket_clock.answerable IS
    'Who was answerable for the promise when it was broken, by the subject of the token. Null while it is not broken, and in '
    'what was broken before this was noted.';
