/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_posts - implementation. */
#include <config.h>
#include "server/cluster_posts.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"

#define TIMEOUT_MS 2000
#define RETRY_MS   50

struct post {
    struct post *next;
    struct cluster_posts *posts;
    char *subject, *id;   /* Owned. */
    const char *header;   /* NULL: none. */
    char *value;          /* Its.  Owned. */
    struct byte_buf data; /* Owned. */
    uint64_t tag;
    bool is_sent;  /* An answer is waited for. */
    bool was_sent; /* Before, too. */
};

struct cluster_posts {
    struct cluster_posts_config config;
    struct post *first; /* Owned, in the order they were added. */
    struct post **last;
    size_t n;
    struct event *retry; /* Owned. */
    uint64_t sent_again;
    char *trouble; /* Owned. */
};

static void
set_trouble(struct cluster_posts *posts, const char *why)
{
    free(posts->trouble);
    posts->trouble = lh_strdup(why);
}

static void
try_later(struct cluster_posts *posts)
{
    const struct timeval wait = {.tv_usec = RETRY_MS * 1000};

    if (!event_pending(posts->retry, EV_TIMEOUT, NULL)) {
        evtimer_add(posts->retry, &wait);
    }
}

static void
free_post(struct post *post)
{
    free(post->subject);
    free(post->id);
    free(post->value);
    byte_buf_uninit(&post->data);
    free(post);
}

static void
remove_post(struct cluster_posts *posts, struct post *post)
{
    struct post **link = &posts->first;

    while (*link != post) {
        link = &(*link)->next;
    }
    *link = post->next;
    if (!*link) {
        posts->last = link;
    }
    posts->n--;
    free_post(post);
}

static void send_post(struct post *);

static void
on_published(void *post_, int error_number, const char *why, uint64_t seq,
             bool was_there)
{
    struct post *post = post_;
    struct cluster_posts *posts = post->posts;
    uint64_t tag = post->tag;

    post->is_sent = false;
    if (!error_number) {
        set_trouble(posts, NULL);
        if (posts->config.take) {
            posts->config.take(posts->config.aux, tag, &post->data,
                               post->value);
        }
        remove_post(posts, post);
        posts->config.on_kept(posts->config.aux, tag, seq);
        return;
    }
    set_trouble(posts, why);
    if (error_number == ETIMEDOUT) {
        send_post(post);
    } else {
        try_later(posts);
    }
}

static void
send_post(struct post *post)
{
    struct cluster_posts *posts = post->posts;
    const struct bus_header header = {post->header, post->value};
    const struct bus_letter letter = {.subject = post->subject,
                                      .data = post->data.data,
                                      .size = post->data.len,
                                      .headers = &header,
                                      .n_headers = post->header != NULL};
    struct lh_error error;

    if (bus_stream_publish(posts->config.bus, &letter, post->id, BUS_ANY_SEQ,
                           posts->config.timeout_ms, on_published, post,
                           &error)) {
        set_trouble(posts, error.text);
        try_later(posts);
        return;
    }
    posts->sent_again += post->was_sent;
    post->is_sent = post->was_sent = true;
}

static void
on_retry(int fd, short events, void *posts_)
{
    struct cluster_posts *posts = posts_;

    for (struct post *post = posts->first; post; post = post->next) {
        if (!post->is_sent) {
            send_post(post);
        }
    }
}

struct cluster_posts *
cluster_posts_create(const struct cluster_posts_config *config)
{
    struct cluster_posts *posts = lh_alloc_zero(sizeof *posts);

    posts->config = *config;
    if (!posts->config.timeout_ms) {
        posts->config.timeout_ms = TIMEOUT_MS;
    }
    posts->last = &posts->first;
    posts->retry = evtimer_new(bus_get_base(config->bus), on_retry, posts);
    if (!posts->retry) {
        abort();
    }
    return posts;
}

void
cluster_posts_destroy(struct cluster_posts *posts)
{
    if (!posts) {
        return;
    }
    while (posts->first) {
        struct post *post = posts->first;

        posts->first = post->next;
        bus_forget(posts->config.bus, post);
        free_post(post);
    }
    event_free(posts->retry);
    free(posts->trouble);
    free(posts);
}

void
cluster_posts_add(struct cluster_posts *posts, const char *subject,
                  const char *id, struct byte_buf *data, uint64_t tag)
{
    cluster_posts_add_with(posts, subject, id, data, tag, NULL, NULL);
}

void
cluster_posts_add_with(struct cluster_posts *posts, const char *subject,
                       const char *id, struct byte_buf *data, uint64_t tag,
                       const char *header, const char *value)
{
    struct post *post = lh_alloc_zero(sizeof *post);

    post->posts = posts;
    post->subject = lh_strdup(subject);
    post->id = lh_strdup(id);
    post->header = header;
    post->value = lh_strdup(value);
    post->data = *data;
    *data = (struct byte_buf) BYTE_BUF_INIT;
    post->tag = tag;
    *posts->last = post;
    posts->last = &post->next;
    posts->n++;
    send_post(post);
}

size_t
cluster_posts_n(const struct cluster_posts *posts)
{
    return posts->n;
}

uint64_t
cluster_posts_sent_again(const struct cluster_posts *posts)
{
    return posts->sent_again;
}

const char *
cluster_posts_trouble(const struct cluster_posts *posts)
{
    return posts->trouble;
}
