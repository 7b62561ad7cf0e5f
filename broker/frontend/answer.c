#include "answer.h"

#include <stdlib.h>

void answer_list_add(struct answer_list *self, struct answer *answer)
{
    answer->next = NULL;
    if (self->last == NULL) {
        self->first = answer;
    } else {
        self->last->next = answer;
    }
    self->last = answer;
    self->count++;
}

void answer_list_clear(struct answer_list *self)
{
    for (struct answer *answer = self->first; answer != NULL; answer = answer->next) {
        if (answer->kind == ANSWER_GET || answer->kind == ANSWER_PEEK) {
            free(answer->as.items.items);
            answer->as.items.items = NULL;
        }
    }
    *self = (struct answer_list){0};
}
