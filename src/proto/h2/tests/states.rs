//! Every state of the halves of a stream with every input.

use crate::proto::h2::{
    End::{Last, More},
    Misuse, Violation,
    stream::{Arrival, RecvHalf, Section, SendHalf, Sent},
};

#[test]
fn every_receiving_state_meets_everything_that_arrives() {
    use {Arrival::*, RecvHalf::*, Violation as V};
    let stream = 1;
    type Row = (RecvHalf, Arrival, Result<(RecvHalf, Section), Violation>);
    #[rustfmt::skip]
    let table: [Row; 18] = [
        (Head,  Informational(More), Ok((Head, Section::Informational))),
        (Head,  Informational(Last), Err(V::InformationalEndsStream { stream })),
        (Head,  Headers(More),       Ok((Body, Section::Head))),
        (Head,  Headers(Last),       Ok((Ended, Section::Head))),
        (Head,  Data(More),          Err(V::DataBeforeHead { stream })),
        (Head,  Data(Last),          Err(V::DataBeforeHead { stream })),
        (Body,  Informational(More), Err(V::TrailersWithoutEnd { stream })),
        (Body,  Informational(Last), Err(V::TrailersWithoutEnd { stream })),
        (Body,  Headers(More),       Err(V::TrailersWithoutEnd { stream })),
        (Body,  Headers(Last),       Ok((Ended, Section::Trailers))),
        (Body,  Data(More),          Ok((Body, Section::Body))),
        (Body,  Data(Last),          Ok((Ended, Section::Body))),
        (Ended, Informational(More), Err(V::FrameAfterEnd { stream })),
        (Ended, Informational(Last), Err(V::FrameAfterEnd { stream })),
        (Ended, Headers(More),       Err(V::FrameAfterEnd { stream })),
        (Ended, Headers(Last),       Err(V::FrameAfterEnd { stream })),
        (Ended, Data(More),          Err(V::FrameAfterEnd { stream })),
        (Ended, Data(Last),          Err(V::FrameAfterEnd { stream })),
    ];
    for (state, arrival, expected) in table {
        assert_eq!(state.on(arrival, stream), expected, "{state:?}, {arrival:?}");
    }
}

#[test]
fn every_sending_state_meets_everything_that_is_sent() {
    use {Misuse as M, SendHalf::*};
    let stream = 1;
    #[rustfmt::skip]
    let table: [(SendHalf, Sent, Result<SendHalf, Misuse>); 18] = [
        (Head,  Sent::Informational, Ok(Head)),
        (Head,  Sent::Head(More),    Ok(Body)),
        (Head,  Sent::Head(Last),    Ok(Ended)),
        (Head,  Sent::Data(More),    Err(M::HeadMissing { stream })),
        (Head,  Sent::Data(Last),    Err(M::HeadMissing { stream })),
        (Head,  Sent::Trailers,      Err(M::HeadMissing { stream })),
        (Body,  Sent::Informational, Err(M::HeadSent { stream })),
        (Body,  Sent::Head(More),    Err(M::HeadSent { stream })),
        (Body,  Sent::Head(Last),    Err(M::HeadSent { stream })),
        (Body,  Sent::Data(More),    Ok(Body)),
        (Body,  Sent::Data(Last),    Ok(Ended)),
        (Body,  Sent::Trailers,      Ok(Ended)),
        (Ended, Sent::Informational, Err(M::SendEnded { stream })),
        (Ended, Sent::Head(More),    Err(M::SendEnded { stream })),
        (Ended, Sent::Head(Last),    Err(M::SendEnded { stream })),
        (Ended, Sent::Data(More),    Err(M::SendEnded { stream })),
        (Ended, Sent::Data(Last),    Err(M::SendEnded { stream })),
        (Ended, Sent::Trailers,      Err(M::SendEnded { stream })),
    ];
    for (state, sent, expected) in table {
        assert_eq!(state.on(sent, stream), expected, "{state:?}, {sent:?}");
    }
}
