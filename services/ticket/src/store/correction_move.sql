-- Gives all that hangs on ticket $1 to customer $2, in one statement: whatever has the ticket's customer beside it. Each table
-- is asked by its index on the ticket; product holds, of which there are few, have none.
WITH of_ticket_clock AS (UPDATE ticket_clock SET customer_id = $2 WHERE ticket_id = $1),
of_verdict AS (UPDATE verdict SET customer_id = $2 WHERE ticket_id = $1),
of_escalation AS (UPDATE escalation SET customer_id = $2 WHERE ticket_id = $1),
of_message AS (UPDATE message SET customer_id = $2 WHERE ticket_id = $1),
of_violation AS (UPDATE violation SET customer_id = $2 WHERE ticket_id = $1),
of_work_order AS (UPDATE work_order SET customer_id = $2 WHERE ticket_id = $1),
of_routing_step AS (UPDATE routing_step SET customer_id = $2 WHERE ticket_id = $1),
of_handling_record AS (UPDATE handling_record SET customer_id = $2 WHERE ticket_id = $1),
of_transfer AS (UPDATE transfer SET customer_id = $2 WHERE ticket_id = $1),
of_plan_item AS (UPDATE plan_item SET customer_id = $2 WHERE ticket_id = $1),
of_supervision AS (UPDATE supervision SET customer_id = $2 WHERE ticket_id = $1),
of_root_cause AS (UPDATE root_cause SET customer_id = $2 WHERE ticket_id = $1),
of_corrective_action AS (UPDATE corrective_action SET customer_id = $2 WHERE ticket_id = $1),
of_product_hold AS (UPDATE product_hold SET customer_id = $2 WHERE ticket_id = $1),
of_delivery AS (UPDATE delivery SET customer_id = $2 WHERE ticket_id = $1),
of_trigger_run AS (UPDATE trigger_run SET customer_id = $2 WHERE ticket_id = $1),
of_ticket_merge AS (UPDATE ticket_merge SET customer_id = $2 WHERE source_id = $1),
of_ticket_reopening AS (UPDATE ticket_reopening SET customer_id = $2 WHERE ticket_id = $1),
of_ticket_link AS (UPDATE ticket_link SET customer_id = $2 WHERE child_id = $1),
of_mass_answer AS (UPDATE mass_answer SET customer_id = $2 WHERE parent_id = $1),
of_process AS (UPDATE process SET customer_id = $2 WHERE ticket_id = $1)
UPDATE attachment SET customer_id = $2 WHERE ticket_id = $1
