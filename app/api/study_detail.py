"""The images of an order, made again from the run's seed: which there are, what they say, what they look like.

Nothing of this is read from a study store or an archive, so it can be looked at whatever became of the order.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.api.order_detail import planned_order
from app.api.views import ElementView, InstanceView
from app.dicom.listing import list_elements
from app.dicom.study import acquisition_of, generate_header
from app.dicom.thumbnail import thumbnail
from app.domain.errors import NotFound
from app.domain.identity import instance_uid
from app.domain.order import Order
from app.domain.run import Run
from app.ports import Database


def list_instances(database: Database, run: Run, number: int) -> list[InstanceView]:
    """The instances of an order's study, series by series. Raises NotFound."""
    return list(_instances(_order(database, run, number)))


def instance_elements(database: Database, run: Run, number: int, index: int) -> list[ElementView]:
    """The data elements of an instance without its pixels; ``index`` is its place in the study. Raises NotFound."""
    order = _order(database, run, number)
    header = generate_header(order, *_place(order, index))
    return [ElementView.model_validate(line) for line in list_elements(header)]


def instance_thumbnail(database: Database, run: Run, number: int, index: int) -> bytes:
    """The instance as a small PNG. Raises NotFound."""
    order = _order(database, run, number)
    return thumbnail(order.study, *_place(order, index))


def _order(database: Database, run: Run, number: int) -> Order:
    if number not in database.queries.numbered(run.id, [number]):
        raise NotFound(f"run {run.id} has no order {number}")
    return planned_order(run, number)


def _instances(order: Order) -> Iterator[InstanceView]:
    index = 0
    for series, plan in enumerate(order.study.series, start=1):
        size = acquisition_of(order.study, plan).attributes()
        for number in range(1, plan.instances + 1):
            yield InstanceView(
                index=index,
                series=series,
                number=number,
                sop_instance_uid=instance_uid(order.run_key, order.number, series, number),
                rows=size["Rows"],
                columns=size["Columns"],
            )
            index += 1


def _place(order: Order, index: int) -> tuple[int, int]:
    """Series and number, both from 1, of the instance at ``index`` (from 0) of the study."""
    before = 0
    for series, plan in enumerate(order.study.series, start=1):
        if index < before + plan.instances:
            return series, index - before + 1
        before += plan.instances
    raise NotFound(f"the study of order {order.number} has {before} instances, so none at index {index}")
