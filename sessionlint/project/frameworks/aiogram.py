"""aiogram: handlers of updates, middlewares, startup and shutdown.

Source: https://docs.aiogram.dev/en/latest/dispatcher/ (router, middlewares, class based handlers).
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

_UPDATES = ("message", "edited_message", "channel_post", "callback_query", "inline_query", "chosen_inline_result",
            "shipping_query", "pre_checkout_query", "poll", "poll_answer", "my_chat_member", "chat_member",
            "chat_join_request", "error", "errors", "update")  # fmt: skip

AIOGRAM = Framework(
    packages=frozenset({"aiogram", "aiogram_dialog"}),
    decorators={**dict.fromkeys(_UPDATES, "event"), "startup": "lifespan", "shutdown": "lifespan"},
    methods={
        "BaseMiddleware": {"__call__": "event"},
        "BaseFilter": {"__call__": "event"},
        "Filter": {"__call__": "event"},
        **{name: {"handle": "event"} for name in ("BaseHandler", "MessageHandler", "CallbackQueryHandler",
                                                  "InlineQueryHandler", "ErrorHandler", "PollHandler")},
    },
    calls={
        **{f"{update}.register": {0: "event"} for update in _UPDATES},
        "startup.register": {0: "lifespan"},
        "shutdown.register": {0: "lifespan"},
    },
)  # fmt: skip
