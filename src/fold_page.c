/*-------------------------------------------------------------------------
 *
 * fold_page.c
 *		Which included records of a page belong to a folded entity, and to whom.
 *
 * IDENTIFICATION
 *		src/fold_page.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fold_page.h"

/* A primary record that names an included one. */
typedef struct Owner
{
	const char *id;				/* of the included record */
	int			record;			/* the primary one */
} Owner;

static const PageLink *
find_link(const PageRecord *record, const char *name)
{
	for (int i = 0; i < record->n_links; i++)
	{
		if (strcmp(record->links[i].name, name) == 0)
			return &record->links[i];
	}
	return NULL;
}

static int
compare_owners(const void *a, const void *b)
{
	const Owner *left = a;
	const Owner *right = b;
	int			order = strcmp(left->id, right->id);

	/* of several owners the first is meant */
	return order != 0 ? order : left->record - right->record;
}

/*
 * list_owners: who names which included record, sorted by its id.
 */
static Owner *
list_owners(const Folded *folded, const ParsedPage *page, int *n)
{
	int			room = 64;
	Owner	   *owners = palloc(sizeof(Owner) * room);

	*n = 0;
	for (int i = 0; i < page->n_records; i++)
	{
		const PageLink *link = find_link(&page->records[i], folded->via);

		for (int k = 0; link != NULL && link->has_data && k < link->count; k++)
		{
			if (*n == room)
				owners = repalloc(owners, sizeof(Owner) * (room *= 2));
			owners[*n].id = link->ids[k];
			owners[(*n)++].record = i;
		}
	}
	qsort(owners, *n, sizeof(Owner), compare_owners);
	return owners;
}

static const char *const *
item_params(const Folded *folded, const WalkParent *parent, const ParsedPage *page, int owner)
{
	int			n = folded->entity->n_params;
	const char **params;

	if (n == 0 || owner < 0 || page->records[owner].id == NULL)
		return NULL;
	params = palloc(sizeof(char *) * n);
	for (int i = 0; i < n - 1; i++)
		params[i] = parent->params[folded->params[i]];
	params[n - 1] = page->records[owner].id;
	return params;
}

/*
 * first_owner: the first primary record that names this one, or -1; *known:
 * all that name it were on the page before, so it was written with that.
 */
static int
first_owner(const Owner *owners, int n, const char *id, int first, bool *known)
{
	int			low = 0;
	int			high = n;
	int			owner;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(owners[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n || strcmp(owners[low].id, id) != 0)
	{
		*known = false;
		return -1;
	}
	owner = owners[low].record;
	while (low + 1 < n && strcmp(owners[low + 1].id, id) == 0)
		low++;
	*known = owners[low].record < first;
	return owner;
}

WriteItem *
fold_page_items(const Folded *folded, const WalkParent *parent, const ParsedPage *page, int first,
				int *n)
{
	int			n_owners;
	Owner	   *owners = list_owners(folded, page, &n_owners);
	WriteItem  *items = palloc(sizeof(WriteItem) * Max(page->n_included, 1));

	*n = 0;
	for (int i = 0; i < page->n_included; i++)
	{
		const PageRecord *record = &page->included[i];
		bool		known = false;
		int			owner = -1;

		if (!writer_takes_type(folded->writer, record->type))
			continue;
		if (record->id != NULL)
			owner = first_owner(owners, n_owners, record->id, first, &known);
		if (known)
			continue;
		items[*n].record = record;
		items[(*n)++].params = item_params(folded, parent, page, owner);
	}
	return items;
}

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * count_owned: how many of these included records have an owner on the page.
 */
static int
count_owned(const Folded *folded, const ParsedPage *page, const char **ids, int n)
{
	int			n_owners;
	Owner	   *owners = list_owners(folded, page, &n_owners);
	int			owned = 0;
	bool		known;

	for (int i = 0; i < n; i++)
	{
		if (first_owner(owners, n_owners, ids[i], 0, &known) >= 0)
			owned++;
	}
	return owned;
}

int
fold_page_lacks(const Folded *folded, const ParsedPage *page, int first)
{
	const char **ids = palloc(sizeof(char *) * Max(page->n_included, 1));
	int			n = 0;
	int			missing = 0;

	for (int i = 0; i < page->n_included; i++)
	{
		if (page->included[i].id != NULL && writer_takes_type(folded->writer, page->included[i].type))
			ids[n++] = page->included[i].id;
	}
	qsort(ids, n, sizeof(char *), compare_ids);
	if (folded->entity->parent != NULL)
		missing = n - count_owned(folded, page, ids, n);
	for (int i = first; i < page->n_records; i++)
	{
		const PageLink *link = find_link(&page->records[i], folded->via);

		if (page->records[i].defect != NULL)
			continue;
		if (link == NULL || !link->has_data)
			return -1;
		for (int k = 0; k < link->count; k++)
		{
			if (bsearch(&link->ids[k], ids, n, sizeof(char *), compare_ids) == NULL)
				missing++;
		}
	}
	return missing;
}
