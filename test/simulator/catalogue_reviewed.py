"""What the catalogue says beyond the facts: decisions that no rule can derive.

Read by catalogue_from_facts.  Keys are (product, entity), or (product, entity,
edge).
"""

# Nested lists that came with a version, not in the documentation graph yet.
LATER_PATHS = {("people", "FormFieldCondition"):
               "/people/v2/forms/{form_id}/fields/{form_field_id}/form_field_conditions"}
SINCE = {("calendar", "Calendar"): "2026-06-22", ("people", "FormFieldCondition"): "2026-06-04"}

# Several parents show the same record: the parent's edge follows a reference, or
# leads to some of them.
# Type -> (the parent's to-one, collection in links, type of the records)
SHARED = {("people", "WorkflowCategory"): ("workflow_category", "workflow_categories", None),
          ("groups", "Location"): ("location", "locations", None),
          ("groups", "Owner"): ("owner", "people", None),
          ("api", "ConnectedApplicationPerson"): (None, "connected_application_people", None),
          ("services", "SignupSheet"): (None, "signup_sheets", None),
          ("calendar", "ContainingResource"): ("containing_resource", None, "Resource")}

# Paths that give one record though they look like a collection's.
SINGLE = {("people", "OrganizationStatistics"), ("services", "Chat")}

# An included copy of these shows no references.  All come by includes that
# bring part of the type only: nothing could be loaded through them anyway.
THIN = {("people", "Form"), ("people", "Workflow"), ("calendar", "EventResourceRequest"),
        ("groups", "Group"), ("services", "Team"), ("publishing", "Episode"),
        ("check-ins", "EventTime")}

# To-many relationships that stand in every record though they can be included.
ALWAYS = {("giving", "Donation", "labels")}

# What grows with the organisation; the rest is a handful whatever its size.
SHARE = {("giving", "Person"), ("giving", "Donation"), ("check-ins", "Person"), ("check-ins", "CheckIn")}
PEOPLE_PER_ROW, LEAST_ROWS = 20, 12

# Only so many people have rows of their own beyond those of people.conf.
PEOPLE_WITH_MORE = 40

# What owns a row of a top-level collection, where the rule would err.
OWNER = {("giving", "Donation"): None, ("giving", "InKindDonation"): None, ("giving", "RecurringDonation"): None,
         ("check-ins", "CheckIn"): None, ("groups", "EventNote"): "annotatable",
         ("people", "SocialProfile"): "person", ("registrations", "Attendee"): "signup",
         ("registrations", "Registration"): "signup", ("check-ins", "Pass"): "person",
         ("calendar", "Conflict"): None, ("calendar", "Event"): None, ("webhooks", "Event"): "subscription", ("people", "Message"): None}

# Owners that records do not show.
HIDDEN = {("registrations", "Attendee"): {"signup": "Signup"},
          ("registrations", "Registration"): {"signup": "Signup"},
          ("services", "PlanTime"): {"service_type": "ServiceType"},
          ("services", "TeamPosition"): {"service_type": "ServiceType"},
          ("services", "Attachment"): {"media": "Media"},
          ("groups", "Event"): {"group_type": "GroupType"}}

# What a polymorphic relationship points to.
POLYMORPHIC = {"Fieldable": "FieldDefinition", "Optionable": "FieldOption"}

# Edges whose rule would err: (product, parent, edge) -> how, in the catalogue's words
HOW = {("people", "List", "people"): "through ListResult list person",
       ("people", "NoteCategory", "subscribers"): "through NoteCategorySubscription note_category person",
       ("people", "Workflow", "shared_people"): "through WorkflowShare workflow person",
       ("groups", "Group", "people"): "through Membership group person",
       ("groups", "Person", "groups"): "through Membership person group",
       ("services", "Team", "people"): "through PersonTeamPositionAssignment team person",
       ("groups", "Event", "notes"): "where annotatable",
       ("people", "ListCategory", "lists"): "where category",
       ("giving", "Person", "batches"): "where owner", ("giving", "Person", "batch_groups"): "where owner",
       ("calendar", "Event", "conflicts"): "where winner",
       ("calendar", "Person", "event_resource_requests"): "where created_by",
       ("check-ins", "Event", "integration_links"): "where local",
       ("publishing", "Channel", "series"): "where channel",
       ("services", "ServiceType", "attachments"): "empty", ("services", "Song", "attachments"): "empty",
       ("services", "Arrangement", "attachments"): "empty", ("services", "Item", "attachments"): "empty",
       ("services", "Key", "attachments"): "empty"}

# Edges that the facts name only in passing.
MORE_EDGES = [("giving", "DonorSummary", "joint_giver", False, "Person"),
              ("calendar", "Calendar", "events", True, "Event")]

# Rows that lists hide: (attribute, whether records show it)
HIDE = {("people", "Form"): "deleted_at", ("people", "Workflow"): "deleted_at", ("services", "Plan"): "deleted_at"}

PEOPLE_NAMES = {"created_by", "updated_by", "owner", "checked_in_by", "checked_out_by", "person", "from", "to",
                "assignee", "administrator", "default_assignee", "resolved_by", "joint_giver",
                "registrant_contact", "controller"}

# Where the size of an invented collection matters: a little of everything.
FIXED = {("services", "ServiceType"): 4, ("services", "Person"): 8, ("services", "Song"): 8,
         ("check-ins", "Event"): 4, ("people", "Workflow"): 8, ("people", "Form"): 8, ("people", "List"): 6}
PER = {("services", "Plan"): "3 2 0 4", ("services", "Item"): "2 0 3 1", ("people", "WorkflowCard"): "3 0 2 4"}

PATTERNS = ["0 1 2 3", "1 0 2", "2 1 0 1", "1 3 0 2"]
ONE_PATTERNS = ["1 0 1", "0 1", "1 1 0"]
