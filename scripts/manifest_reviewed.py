"""What the manifest says beyond its facts: decisions that no rule can derive.

Read by manifest_from_facts.  Keys are (product, entity), or (product, entity,
attribute, relationship or include).
"""

# One version per product, pinned: a token's default version can move under us.
# The documented version, but for
API_VERSIONS = {
    "people": "2026-06-04",     # FieldDatum gets created_at and updated_at
    "calendar": "2026-06-22",   # adds /calendars and nothing else
}

# Paths that only a note of the facts has.
PATHS = {
    ("people", "FormFieldCondition"):
        "/people/v2/forms/{form_id}/fields/{form_field_id}/form_field_conditions",
}

# Relationships that the pinned version no longer has.
GONE = {
    ("people", "Person", "gender"),     # since 2025-11-10
}

# Entities whose records are another's: with its attributes, relationships and type.
RECORDS = {
    ("calendar", "ContainingResource"): "Resource",
}

# Attributes that are secrets between Planning Center and a program: they are not
# stored.  Codes of people (check_ins Pass.code, services Person.ical_code) are
# data like others; whoever must not have them drops or hashes them.
SECRETS = {
    ("services", "Organization", "secret"),
    ("webhooks", "WebhookSubscription", "authenticity_secret"),     # signs what is delivered
}

# Parents to walk, where neither the path nor the name of the edge tells.
WALKS = {
    # An event period's path has no such list beneath it, a check-in's has: the
    # check-in names the period.
    ("check_ins", "LocationEventPeriod"): ("CheckIn", ["id", "event_period_id"]),
    # Beneath the item that a song was last scheduled as.
    ("services", "CustomSlide"): ("Item", ["song_id", "id"]),
    # Beneath media, to which an attachment is attached.
    ("services", "Zoom"): ("Attachment", ["attachable_id", "id"]),
    # A donation has one refund at most, which has no id in the path; walking
    # refunds instead of donations asks only where there is one.
    ("giving", "DesignationRefund"): ("Refund", ["donation_id"]),
}

# Paths that give one record, where the facts do not say so by themselves.
SINGLE = {
    ("services", "Chat"),
}

# The same record can come under several parents of its path.
SHARED = {
    ("people", "WorkflowCategory"),         # of several workflows
    ("people", "ConnectedPerson"),          # of another organisation, known to several here
    ("groups", "Location"),                 # groups that meet in the same place
    ("groups", "Owner"),                    # the person who wrote several notes
    ("groups", "Resource"),                 # a group type's resource is each group's
    ("calendar", "ContainingResource"),     # the resource that holds several room setups
    ("check_ins", "LocationEventPeriod"),   # every check-in of the event period shows it
    ("services", "SignupSheet"),            # of a plan, offered to many people
    ("services", "ScheduledPerson"),        # beneath a signup sheet
    ("services", "SignupSheetMetadata"),    # beneath a signup sheet
    ("api", "ConnectedApplicationPerson"),  # a person who uses several applications
}

# Type names that records carry, beside those that relationships resolve.
ALIASES = {
    ("webhooks", "WebhookSubscription"): ["Subscription"],      # the name until 2022-10-20
}

# Owners of entities that have a list of their own: without which the record would
# not be, and of several candidates the nearest.  (A batch or a tag can be without
# its group.)  A nested entity's owner is the parent that is walked.
OWNERS = {
    ("calendar", "Attachment"): "Event",
    ("calendar", "Conflict"): "Resource",               # two events want it
    ("calendar", "EventInstance"): "Event",
    ("calendar", "EventResourceRequest"): "Event",      # that asks for a resource
    ("calendar", "ResourceBooking"): "EventInstance",   # for which a resource is booked
    ("calendar", "ResourceQuestion"): "Resource",
    ("check_ins", "CheckIn"): "Person",                 # who came; when is a reference
    ("check_ins", "EventTime"): "EventPeriod",          # which is the event's
    ("check_ins", "Headcount"): "EventTime",
    ("check_ins", "Pass"): "Person",
    ("giving", "Donation"): "Person",                   # batch, campus, source are references
    ("giving", "InKindDonation"): "Person",
    ("giving", "RecurringDonation"): "Person",
    ("groups", "Event"): "Group",
    ("groups", "EventNote"): "Event",                   # through its annotatable
    ("groups", "Group"): "GroupType",
    ("groups", "GroupApplication"): "Group",
    ("groups", "Membership"): "Group",
    ("people", "Address"): "Person",
    ("people", "BackgroundCheck"): "Person",
    ("people", "Email"): "Person",
    ("people", "FieldDatum"): "Person",                 # through its customizable
    ("people", "FieldDefinition"): "Tab",
    ("people", "Message"): "MessageGroup",
    ("people", "Note"): "Person",
    ("people", "NoteCategorySubscription"): "NoteCategory",
    ("people", "PhoneNumber"): "Person",
    ("people", "SocialProfile"): "Person",
    ("publishing", "Episode"): "Channel",
    ("publishing", "Series"): "Channel",
    ("registrations", "Attendee"): "Signup",
    ("registrations", "Registration"): "Signup",
    ("services", "Team"): "ServiceType",
}

# To-many relationships that make the record a container, to be there before its
# members.  All others are references to things that should be there first, as a
# donation's labels.
CONTAINERS = [
    ("people", "Household", "people"),
]

# The rest of the order, which no record tells.
AFTER = {
    ("calendar", "Tag"): ["TagGroup"],      # a group contains tags, but has no list of them
    ("people", "Household"): ["Campus"],    # people data are published in this order
}

# Top-level entities that are all somebody's: their owner's list can bring them all.
COMPLETE_INCLUDES = {
    ("people", "Person", "addresses"),
    ("people", "Person", "emails"),
    ("people", "Person", "field_data"),
    ("people", "Person", "phone_numbers"),
    ("people", "Person", "social_profiles"),
}

# Types that are documented and have no path.
UNREACHABLE = {
    ("api", "Person"):
        "it has no path of its own; people who use an application come as ConnectedApplicationPerson",
    ("check_ins", "PreCheck"):
        "it has no path of its own; only its id comes, as pre_check of CheckInTime",
    ("check_ins", "RosterListPerson"):
        "it has no path of its own; it comes only inside rosters, and Person has the same people",
    ("services", "AttachmentActivity"):
        "it has no path of its own; it comes only inside other records",
    ("services", "AttachmentTypeGroup"):
        "its documented path is no list; only its id comes, as attachment_type_group of AttachmentType",
    ("services", "BlockoutScheduleConflict"):
        "it has no path of its own; it is computed from Blockout and Schedule",
    ("services", "EmailTemplateRenderedResponse"):
        "it has no path of its own; it answers a request to render an EmailTemplate",
    ("services", "FolderPath"):
        "it has no path of its own; it comes only inside other records",
    ("services", "ItemAssignment"):
        "it has no path of its own; it comes only included in Item, as item_assignments",
    ("services", "ServiceTypePath"):
        "it has no path of its own; it comes only inside other records",
    ("services", "SkippedAttachment"):
        "it has no path of its own; it comes only inside other records",
    ("services", "SongbookStatus"):
        "it has no path of its own; it comes only inside other records",
}
