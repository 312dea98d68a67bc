-- Mass answers in their order and in the name of whoever gave them; pages of children (T-04, T-12, T-14, X-08). As in 0001,
-- nothing here names the schema.

ALTER TABLE mass_answer
    ADD COLUMN roles      text[]  NOT NULL DEFAULT '{}',
    ADD COLUMN overriding boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN mass_answer.roles IS
    'The roles of whoever gave it, then: with the org unit they tell what he may do on a child. Empty for a trigger, which has '
    'none.';
COMMENT ON COLUMN mass_answer.overriding IS
    'It was said in spite of forbidden phrases, by somebody who may where the parent is. On a child that counts where he may, too.';

-- What is under way on a parent in its order: one at a time goes to the children, the one with the lowest number.
CREATE INDEX mass_answer_order_idx ON mass_answer (parent_id, number) WHERE finished_at IS NULL;

-- The children of a parent by where they are. In the ticket itself, so that it goes with the ticket.
CREATE INDEX ticket_child_idx ON ticket ((links ->> 'parent'), org_unit, id) WHERE links ? 'parent';
